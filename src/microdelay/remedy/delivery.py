"""A batch is tried until each of its records is taken, refused, or too old."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from time import monotonic
from typing import Final

from microdelay.record import span
from microdelay.remedy import process_end
from microdelay.remedy.backlog import Backlog
from microdelay.remedy.doorbell import Doorbell
from microdelay.remedy.drop_notice import DropNotice
from microdelay.remedy.inside_sink import inside_sink
from microdelay.remedy.record_batch import Batch
from microdelay.remedy.set_aside import SetAside
from microdelay.remedy.shipper_options import ShipperOptions
from microdelay.remedy.sinks.sink import BusyError, PartlyRefusedError, RefusedError, Sink, TooLargeError

FIRST_BACKOFF_S: Final = 0.1
"""The first pause after a failure is drawn from 0 to this, then from 0 to twice that, and so on ("full jitter")."""

MISTAKES: Final = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, NameError)
"""Errors that speak of a mistake in the code rather than of an outage: the same batch would fail for ever."""

MAX_MISTAKES: Final = 5
"""Attempts after which such a batch is taken for refused, so that it does not hold back the rest."""

MAX_REFUSALS: Final = 64
"""Refusals in a row after which it is not a record that is wrong but the service or its URL: batches are no longer
taken apart. To find one record among the 1000 of a batch takes 10."""

QUIET_S: Final = 60.0
"""Time between two lines on stderr about a sink in trouble, s."""

TOO_OLD = "too old"


class Delivery:
    """Sends for one buffer, in a thread for each of `bells`. What it counts is read and changed under `lock`."""

    def __init__(
        self,
        sink: Sink,
        options: ShipperOptions,
        backlog: Backlog,
        set_aside: SetAside,
        lock: AbstractContextManager[object],
        bells: Sequence[Doorbell],
    ) -> None:
        self._sink, self._options, self._backlog, self._set_aside = sink, options, backlog, set_aside
        self._lock, self._bells = lock, bells
        self._notice = DropNotice(backlog.lost)
        self._notice_ids: set[str] = set()
        self.sent = self.retried = 0
        self.last_error = ""
        self.abandoned = False
        self._urges = self._refusals = 0
        self._quiet_until = 0.0
        self._takes = False  # whether the sink took what was sent last

    def hurry(self) -> None:
        """Somebody waits: cut a back-off short, but not a pause that the sink asked for."""
        self._urges += 1
        for bell in self._bells:
            bell.ring()

    def deliver(self, batch: Batch, born: float, deadline: float | None, bell: Doorbell) -> list[Batch]:
        """Send it, in pieces where the sink wants that; what is left of it when time is over."""
        todo = [batch]
        attempt = 0
        while todo and not self.abandoned:
            batch = todo.pop()
            if self._options.max_age is not None and monotonic() - born > self._options.max_age:
                self._count(batch, TOO_OLD)
                continue
            attempt += 1
            try:
                self._send(batch, deadline)
            except TooLargeError as error:
                todo.extend(self._apart(batch, str(error), too_large=True))
                attempt = 0
            except RefusedError as error:
                todo.extend(self._apart(batch, str(error)))
                attempt = 0
            except PartlyRefusedError as error:
                retry = self._sort_out(batch, error)
                if retry:
                    todo.append(retry)
                    if not self._wait_to_retry(str(error), attempt, error.pause_s, deadline, bell):
                        break
                else:
                    attempt = 0
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
                todo.append(batch)
                if attempt >= MAX_MISTAKES and isinstance(error, MISTAKES) and not isinstance(error, OSError):
                    todo[-1:] = self._apart(batch, problem)
                    attempt = MAX_MISTAKES - 1
                    continue
                asked = error.pause_s if isinstance(error, BusyError) else 0.0
                if not self._wait_to_retry(problem, attempt, asked, deadline, bell):
                    break
            else:
                self._refusals = 0
                self._takes = True
                self._count(batch, None)
                self._notice_ids.discard(batch.batch_id if self._notice_ids else "")
                attempt = 0
        return todo[::-1]

    def _apart(self, batch: Batch, problem: str, *, too_large: bool = False) -> list[Batch]:
        """The halves of a batch, the first one last, to find what the sink does not want; none once it is found."""
        if len(batch) > 1 and (too_large or self._refusals < MAX_REFUSALS):
            self._refusals += not too_large
            if too_large:
                self._backlog.batch_bytes = max(sum(map(len, batch)) // 2, 1)
            return list(batch.halves())[::-1]
        self._refusals += not too_large
        self.put_aside(batch, problem)
        return []

    def _sort_out(self, batch: Batch, error: PartlyRefusedError) -> Batch | None:
        """Count what the sink took and what it never will; the rest is to be sent again."""
        for at, reason in error.refused.items():
            self.put_aside(batch.part([at]), reason)
        left = sorted(set(error.retry) - set(error.refused))
        self._count(batch.part(set(range(len(batch))) - set(left) - set(error.refused)), None)
        return batch.part(left) if left else None

    def put_aside(self, batch: Batch, reason: str) -> None:
        """Count the records as refused, and keep them where a file for that is named."""
        if (
            self._notice_ids and batch.batch_id in self._notice_ids
        ):  # no record of the user's, and telling of it would end in the same way
            self._backlog.accepted -= 1
            self._backlog.queued -= 1
            return
        self._count(batch, self._set_aside.LOST)
        self._set_aside.add(batch, reason)
        self.complain(reason)

    def _count(self, batch: Batch, lost: str | None) -> None:
        records = len(batch)  # first: a finalizer may log inside the call, and would not be counted
        with self._lock:
            self._backlog.queued -= records
            if lost is None:
                self.sent += records
            else:
                self._backlog.lost[lost] += records

    def announce_drops(self) -> None:
        """Once the sink takes records again: one record that says how many are missing. The caller holds the lock."""
        text = self._notice.text() if self._takes else None
        if text is not None:
            self._backlog.accepted += 1
            self._notice_ids.add(self._backlog.batch(self._backlog.put_first(text)).batch_id)

    def _wait_to_retry(
        self, problem: str, attempt: int, asked_s: float, deadline: float | None, bell: Doorbell
    ) -> bool:
        self._takes = False
        self.complain(f"{problem}; trying again")
        if not self._pause(attempt, asked_s, deadline, bell):
            return False
        with self._lock:
            self.retried += 1
        return True

    def complain(self, problem: str) -> None:
        """Keep the problem for `stats`, and say it on stderr, at most once in QUIET_S."""
        self.last_error = problem
        if monotonic() >= self._quiet_until:
            self._quiet_until = monotonic() + QUIET_S
            process_end.say(f"{problem} ({self._backlog.queued} records wait, {self._backlog.lost.total()} are lost)")

    def _send(self, batch: Batch, deadline: float | None) -> None:
        timeout = self._options.timeout
        left = timeout if deadline is None else min(timeout, max(deadline - monotonic(), 0.01))
        try:
            with inside_sink(), span("log_buffer", kind="internal", records=len(batch)):
                self._sink.send(batch, batch.batch_id, left)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # a sink that exits or is cancelled has not taken the batch either
            raise RuntimeError(f"the sink raised {type(error).__name__}: {error}") from error

    def _pause(self, attempt: int, asked_s: float, deadline: float | None, bell: Doorbell) -> bool:
        """Wait before the next attempt; somebody's flush() cuts a back-off short, but not a pause the sink asked for.

        False when the deadline leaves no time for another attempt.
        """
        ceiling = min(self._options.max_backoff, FIRST_BACKOFF_S * 2 ** min(attempt - 1, 30))
        until = monotonic() + max(asked_s, ceiling * int.from_bytes(os.urandom(2), "big") / 65_536)
        if deadline is not None and until >= deadline:
            return False
        urges = self._urges
        while (left := until - monotonic()) > 0 and not self.abandoned and (asked_s or self._urges == urges):
            bell.wait(left)
        return True
