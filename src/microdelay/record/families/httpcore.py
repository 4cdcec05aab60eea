"""What the probes of httpcore and of its successor share: a request waits in a queue where its pool is used up."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.events import now
from microdelay.record.families.http_pool import waited
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed

_METHOD = "wait_for_connection"


def install_in(library: ModuleType) -> None:
    """Time `wait_for_connection`; of `AsyncPoolRequest` since 1.0.3, of `RequestStatus` before."""
    sync, asynchronous = library._sync.connection_pool, library._async.connection_pool
    for name in ("PoolRequest", "RequestStatus"):
        replace(getattr(sync, name, None), _METHOD, _wait)
    for name in ("AsyncPoolRequest", "RequestStatus"):
        replace(getattr(asynchronous, name, None), _METHOD, _wait_async)


def _wait(wait: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        start = now() if self.connection is None else 0
        try:
            connection = wait(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            _was_given(self, start, error)
            raise
        _was_given(self, start)
        return connection

    return unnoticed(wrapper, wait)


def _wait_async(wait: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        start = now() if self.connection is None else 0
        try:
            connection = await wait(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            _was_given(self, start, error)
            raise
        _was_given(self, start)
        return connection

    return unnoticed(wrapper, wait)


def _was_given(request: Any, start: int, error: BaseException | None = None) -> None:
    """Record the wait of a request for its connection, where it had none yet."""
    if start:
        waited(start, request.request.url.host, request.request.url.port, error)
