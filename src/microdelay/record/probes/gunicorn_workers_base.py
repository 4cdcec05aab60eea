"""gunicorn ≥ 20: requests to any WSGI application."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.serving import loading
from microdelay.record.families.wsgi import Application
from microdelay.record.patches import replace

WSGI_WORKERS = frozenset(f"gunicorn.workers.{kind}" for kind in ("sync", "gthread", "ggevent", "geventlet"))
"""Those of uvicorn and aiohttp load applications of other kinds in the same way."""


def install(base: ModuleType) -> None:
    """Have `Worker.load_wsgi` load an application that is recorded."""
    replace(base.Worker, "load_wsgi", loading("wsgi", Application, _calls_wsgi))


def _calls_wsgi(worker: object) -> bool:
    return any(each.__module__ in WSGI_WORKERS for each in type(worker).__mro__)
