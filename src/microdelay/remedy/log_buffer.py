"""LogBuffer: a program hands its log records over and never waits for the log service."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from threading import get_ident
from types import TracebackType
from typing import Final, Literal, Self, TypedDict, get_args

from microdelay.errors import RemedyError
from microdelay.remedy import log_json
from microdelay.remedy.inlet import MAX_CHARACTERS, may_wait
from microdelay.remedy.inside_sink import threads
from microdelay.remedy.intake import NOT_ENCODABLE
from microdelay.remedy.log_buffer_stats import LogBufferStats
from microdelay.remedy.process_end import time_left_s
from microdelay.remedy.set_aside import SetAside
from microdelay.remedy.shipper import Shipper
from microdelay.remedy.shipper_options import ShipperOptions
from microdelay.remedy.sinks import SinkLike, make_sink
from microdelay.remedy.spool import Spool

MAX_RECORD_BYTES: Final = 256 * 1024
"""A longer record is cut: the largest that common log services take (CloudWatch 256 KB, Loki 256 KB)."""


SET_ASIDE_BYTES: Final = 64 * 1024 * 1024
"""The file of refused records grows no longer than this."""

WhenFull = Literal["drop-newest", "drop-oldest", "drop-debug", "block", "spill"]


class LogBufferOptions(TypedDict, total=False):
    """The options of a `LogBuffer`; its docstring says what they mean."""

    flush_interval: float
    batch_size: int
    batch_bytes: int
    max_bytes: int
    max_record_bytes: int
    when_full: WhenFull
    block_timeout: float
    spool: str | os.PathLike[str] | None
    spool_bytes: int
    spool_sync: float | None
    set_aside: str | os.PathLike[str] | None
    timeout: float
    max_backoff: float
    max_age: float | None
    exit_timeout: float
    in_flight: int
    headers: Mapping[str, str] | None


class LogBuffer:
    """Log records go to bounded memory at the call; one worker thread sends them in batches.

    `sink` is an http:// or https:// URL that gets a JSON array by POST, a function that takes a list of dicts, or one
    of `microdelay.remedy.sinks`.
    A batch goes when `batch_size` records or `batch_bytes` wait, or `flush_interval` seconds after the first of them;
    the rest goes at the end of the process, which takes at most `exit_timeout` seconds. A record is cut at
    `max_record_bytes`. An attempt takes at most `timeout` seconds; the pauses between attempts grow to `max_backoff`
    seconds; a record that is older than `max_age` seconds (None: never) is given up. `headers` go with every request,
    e.g. Authorization. `in_flight` batches may be on their way at once, each in a thread of its own; more than one
    gives up the order of batches, and goes with a URL, a function, or a sink that speaks HTTP. Records that the sink
    refuses are counted, and written to the file `set_aside` if one is named.

    At most `max_bytes` wait in memory. `when_full` says what happens then: "drop-newest"; "drop-oldest"; "drop-debug",
    which gives up records of lower level for those of a higher one; "block", which waits up to `block_timeout` seconds
    for room, but never in a running event loop; "spill", which keeps what comes on top in files in `spool`.

    With `spool`, the name of a directory, every record is in a file there when `log` returns, so that a killed process
    loses none: the next one that is started with the same directory sends them. The files take at most `spool_bytes`;
    `spool_sync` makes the disk itself take them about every so many seconds, against the loss of power.

    `log`, `flush` and `close` may be called from any thread, in or without an event loop.

    Raises `RemedyError` for a sink or an option that cannot work.
    """

    def __init__(
        self,
        sink: SinkLike,
        *,
        flush_interval: float = 1.0,
        batch_size: int = 1000,
        batch_bytes: int = 1 << 20,
        max_bytes: int = 64 * 1024 * 1024,
        max_record_bytes: int = MAX_RECORD_BYTES,
        when_full: WhenFull = "drop-newest",
        block_timeout: float = 1.0,
        spool: str | os.PathLike[str] | None = None,
        spool_bytes: int = 256 * 1024 * 1024,
        spool_sync: float | None = None,
        set_aside: str | os.PathLike[str] | None = None,
        timeout: float = 10.0,
        max_backoff: float = 30.0,
        max_age: float | None = None,
        exit_timeout: float = 5.0,
        in_flight: int = 1,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        _require_positive(
            flush_interval=flush_interval,
            batch_size=batch_size,
            batch_bytes=batch_bytes,
            max_bytes=max_bytes,
            max_record_bytes=max_record_bytes,
            block_timeout=block_timeout,
            spool_bytes=spool_bytes,
            timeout=timeout,
            max_backoff=max_backoff,
            exit_timeout=exit_timeout,
            in_flight=in_flight,
        )
        if when_full not in get_args(WhenFull):
            raise RemedyError(f"when_full must be one of {', '.join(get_args(WhenFull))}, not {when_full!r}")
        if when_full == "spill" and spool is None:
            raise RemedyError('when_full="spill" needs a directory: spool="…"')
        self._max_record_bytes = max_record_bytes
        options = ShipperOptions(
            flush_interval=flush_interval,
            batch_size=batch_size,
            batch_bytes=batch_bytes,
            max_bytes=max_bytes,
            max_record_bytes=max_record_bytes,
            when_full=when_full,
            block_timeout=block_timeout,
            timeout=timeout,
            max_backoff=max_backoff,
            max_age=max_age,
            spool_sync=spool_sync,
            exit_timeout=exit_timeout,
            in_flight=in_flight,
        )

        def open_spool(forked: bool) -> Spool | None:
            return None if spool is None else Spool(Path(spool), spool_bytes, max_record_bytes, forked=forked)

        kept = SetAside(None if set_aside is None else Path(set_aside), SET_ASIDE_BYTES)
        made = make_sink(sink, headers)
        if in_flight > 1 and not getattr(made, "takes_several_at_once", False):
            raise RemedyError(f"in_flight must be 1: {type(made).__name__} takes one batch at a time")
        self._shipper = Shipper(made, options, open_spool, kept)
        self._inlet = self._shipper.inlet
        # A buffer that nobody holds any more sends what it has, and its thread ends.
        weakref.finalize(self, self._shipper.stop, abandon=False).atexit = False

    def log(self, message: str, /, **fields: object) -> None:
        """Queue the record {"time": now, "message": message, **fields}. Never blocks, never raises.

        What happens to the fields later does not change it: what could be changed is encoded here.
        """
        try:
            inlet = self._inlet
            # Without fields this is not asked of `may_wait`: the call would be a fifth of the whole.
            waits = len(message) <= MAX_CHARACTERS if type(message) is str and not fields else may_wait(message, fields)
            if waits and inlet.is_open and not (threads and get_ident() in threads):
                entries = inlet.entries
                entries.append((time.time(), message, fields))
                if len(entries) >= inlet.limit or not inlet.is_open:
                    self._shipper.bring_in()
            else:
                self._shipper.put(log_json.encode(time.time(), message, fields, self._max_record_bytes))
        except Exception:
            self._shipper.lose(NOT_ENCODABLE)

    def put(self, time_s: float, message: object, fields: Mapping[str, object], context: str = "") -> None:
        """`log` for a record that has its own time, in unix seconds, and fields encoded once for many (`context`)."""
        try:
            self._shipper.put(log_json.encode(time_s, message, fields, self._max_record_bytes, context))
        except Exception:
            self._shipper.lose(NOT_ENCODABLE)

    def put_new(self, time_s: float, message: str, fields: dict[str, object]) -> None:
        """`put` for a dict that nobody else has."""
        try:
            inlet = self._inlet
            if inlet.is_open and may_wait(message, fields) and not (threads and get_ident() in threads):
                entries = inlet.entries
                entries.append((time_s, message, fields))
                if len(entries) >= inlet.limit or not inlet.is_open:
                    self._shipper.bring_in()
            else:
                self._shipper.put(log_json.encode(time_s, message, fields, self._max_record_bytes))
        except Exception:
            self._shipper.lose(NOT_ENCODABLE)

    def flush(self, timeout: float | None = None) -> bool:
        """Send what is queued now; whether none of it was left within `timeout` seconds (by default `exit_timeout`).

        Waits. In a coroutine use `aflush`.
        """
        return self._shipper.flush(self._time(timeout))

    def close(self, timeout: float | None = None) -> bool:
        """Send what is queued, give up what is left after `timeout` seconds, end the worker; whether nothing was left.

        Later records are dropped and counted.
        """
        self._shipper.refuse()
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
        self._shipper.refuse()
        done = False
        try:
            done = await self.aflush(timeout)
        finally:
            self._shipper.stop(abandon=not done)
        return done

    def stats(self) -> LogBufferStats:
        """What became of the records so far."""
        return self._shipper.stats()

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
