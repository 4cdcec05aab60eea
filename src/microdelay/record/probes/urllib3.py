"""urllib3 ≥ 1.26: requests, where no library above it is timed already, and waiting for a connection of a pool."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.events import now
from microdelay.record.families.http import Client, Pairs, answered, outermost, requested
from microdelay.record.families.http_body import arrived
from microdelay.record.families.http_pool import waited
from microdelay.record.measure import Details, hide
from microdelay.record.patches import replace, unnoticed


def install(urllib3: ModuleType) -> None:
    """Time `urlopen` of pools and their managers, with its retries and redirects."""
    client = Client(_describe, _headers)
    replace(urllib3.poolmanager.PoolManager, "urlopen", lambda urlopen: outermost(urlopen, client))
    replace(urllib3.connectionpool.HTTPConnectionPool, "urlopen", lambda urlopen: outermost(urlopen, client))
    replace(urllib3.connectionpool.HTTPConnectionPool, "_get_conn", _get_conn)


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    pool, method, path, *rest = args + tuple(kwargs[key] for key in ("method", "url") if key in kwargs)
    url = path if "://" in path else f"{pool.scheme}://{pool.host}:{pool.port}{path}"
    body = kwargs.get("body", rest[0] if rest else None)
    details = requested("urllib3", method, url, body)
    if result is not None:
        answered(details, result.status)
        # `_body` is what was preloaded; `data` would read the stream that the program wants to read itself.
        arrived(details, getattr(result, "_body", None))
    return details


def _headers(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Pairs, Pairs]:
    sent = kwargs.get("headers") or {}
    return list(sent.items()), list(result.headers.items()) if result is not None else ()


def _get_conn(get: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        start = now() if self.block else 0
        try:
            connection = get(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            if start:
                waited(start, self.host, self.port, error)
            raise
        if start:
            waited(start, self.host, self.port)
        return connection

    return unnoticed(wrapper, get)
