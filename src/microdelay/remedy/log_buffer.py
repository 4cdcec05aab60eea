"""LogBuffer: a program hands its log records over and never waits for the log service."""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Final, NamedTuple, Self, TypedDict

from microdelay.errors import RemedyError
from microdelay.remedy import log_json
from microdelay.remedy.process_end import time_left_s
from microdelay.remedy.shipper import Shipper
from microdelay.remedy.sinks import SinkLike, make_sink

MAX_RECORD_BYTES: Final = 256 * 1024
"""A longer record is cut: the largest that common log services take (CloudWatch 256 KB, Loki 256 KB)."""


class LogBufferOptions(TypedDict, total=False):
    """The options of a `LogBuffer`; its docstring says what they mean."""

    flush_interval: float
    batch_size: int
    max_bytes: int
    max_record_bytes: int
    timeout: float
    max_backoff: float
    exit_timeout: float
    headers: Mapping[str, str] | None


class LogBufferStats(NamedTuple):
    """What became of the records so far. `lost` counts those that will not arrive, by reason."""

    accepted: int
    sent: int
    queued: int
    queued_bytes: int
    retried: int
    lost: dict[str, int]
    last_error: str


class LogBuffer:
    """Log records go to bounded memory at the call; one worker thread sends them in batches.

    `sink` is an http:// or https:// URL that gets a JSON array by POST, a function that takes a list of dicts, or one
    of `microdelay.remedy.sinks`.
    A batch goes when `batch_size` records wait, or `flush_interval` seconds after the first of them; the rest goes at
    the end of the process, which takes at most `exit_timeout` seconds. At most `max_bytes` wait: what comes on top is
    dropped and counted. A record is cut at `max_record_bytes`. An attempt takes at most `timeout` seconds; the pauses
    between attempts grow to `max_backoff` seconds. `headers` go with every request, e.g. Authorization.

    `log`, `flush` and `close` may be called from any thread, in or without an event loop.

    Raises `RemedyError` for a sink or an option that cannot work.
    """

    def __init__(
        self,
        sink: SinkLike,
        *,
        flush_interval: float = 1.0,
        batch_size: int = 500,
        max_bytes: int = 64 * 1024 * 1024,
        max_record_bytes: int = MAX_RECORD_BYTES,
        timeout: float = 10.0,
        max_backoff: float = 30.0,
        exit_timeout: float = 5.0,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        _require_positive(
            flush_interval=flush_interval,
            batch_size=batch_size,
            max_bytes=max_bytes,
            max_record_bytes=max_record_bytes,
            timeout=timeout,
            max_backoff=max_backoff,
            exit_timeout=exit_timeout,
        )
        self._max_record_bytes = max_record_bytes
        self._shipper = Shipper(
            make_sink(sink, headers),
            flush_interval=flush_interval,
            batch_size=batch_size,
            max_bytes=max_bytes,
            timeout=timeout,
            max_backoff=max_backoff,
            exit_timeout=exit_timeout,
        )
        self._put = self._shipper.put
        # A buffer that nobody holds any more sends what it has, and its thread ends.
        weakref.finalize(self, self._shipper.stop, abandon=False).atexit = False

    def log(self, message: str, /, **fields: object) -> None:
        """Queue the record {"time": now, "message": message, **fields}. Never blocks, never raises.

        It is encoded here, so what happens to the fields later does not change it.
        """
        try:
            self._put(log_json.encode(time.time(), message, fields, self._max_record_bytes))
        except Exception:
            self._shipper.lose("not encodable")

    def put(self, time_s: float, message: object, fields: Mapping[str, object], context: str = "") -> None:
        """`log` for a record that has its own time, in unix seconds, and fields encoded once for many (`context`)."""
        try:
            self._put(log_json.encode(time_s, message, fields, self._max_record_bytes, context))
        except Exception:
            self._shipper.lose("not encodable")

    def flush(self, timeout: float | None = None) -> bool:
        """Send what is queued now; whether none of it was left within `timeout` seconds (by default `exit_timeout`).

        Waits. In a coroutine use `aflush`.
        """
        return self._shipper.flush(self._time(timeout))

    def close(self, timeout: float | None = None) -> bool:
        """Send what is queued, give up what is left after `timeout` seconds, end the worker; whether nothing was left.

        Later records are dropped and counted.
        """
        self._shipper.closed = True
        done = self._shipper.flush(self._time(timeout))
        self._shipper.stop(abandon=not done)
        return done

    async def aflush(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - it answers, it does not raise
        """`flush` that does not hold up the event loop."""
        import asyncio

        loop = asyncio.get_running_loop()
        settled: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not settled.done():
                settled.set_result(None)

        def notify() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits there any more
                loop.call_soon_threadsafe(settle)

        self._shipper.when_settled(notify)
        try:
            # Not wait_for: below 3.12 it may swallow a cancellation.
            await asyncio.wait([settled], timeout=self._time(timeout))
        finally:
            self._shipper.forget_waiter(notify)
        return settled.done()

    async def aclose(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - it answers, it does not raise
        """`close` that does not hold up the event loop."""
        self._shipper.closed = True
        done = False
        try:
            done = await self.aflush(timeout)
        finally:
            self._shipper.stop(abandon=not done)
        return done

    def stats(self) -> LogBufferStats:
        """What became of the records so far."""
        shipper = self._shipper
        return LogBufferStats(
            accepted=shipper.accepted,
            sent=shipper.sent,
            queued=shipper.queued,
            queued_bytes=shipper.held_bytes,
            retried=shipper.retried,
            lost=dict(shipper.lost),
            last_error=shipper.last_error,
        )

    def _time(self, timeout: float | None) -> float:
        return time_left_s(self._shipper.exit_timeout) if timeout is None else timeout

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.aclose()


def _require_positive(**options: float) -> None:
    for name, value in options.items():
        if not value > 0:
            raise RemedyError(f"{name} must be more than 0, not {value!r}")
