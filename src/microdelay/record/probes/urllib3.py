"""urllib3, where no library above it is timed already."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.http import answered, outermost, requested
from microdelay.record.measure import Details
from microdelay.record.patches import replace


def install(urllib3: ModuleType) -> None:
    """Time `urlopen` of pools and their managers, with its retries and redirects."""
    replace(urllib3.poolmanager.PoolManager, "urlopen", lambda urlopen: outermost(urlopen, _describe))
    replace(urllib3.connectionpool.HTTPConnectionPool, "urlopen", lambda urlopen: outermost(urlopen, _describe))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    pool, method, path, *rest = args + tuple(kwargs[key] for key in ("method", "url") if key in kwargs)
    url = path if "://" in path else f"{pool.scheme}://{pool.host}:{pool.port}{path}"
    body = kwargs.get("body", rest[0] if rest else None)
    details = requested("urllib3", method, url, body, kwargs.get("headers"))
    # `_body` is what was preloaded; `data` would read the stream that the program wants to read itself.
    return details | answered(
        getattr(result, "status", None), getattr(result, "_body", None), getattr(result, "headers", None)
    )
