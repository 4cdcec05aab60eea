"""Several sinks that each get every record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Final

from microdelay.errors import RemedyError
from microdelay.remedy.record_batch import Batch
from microdelay.remedy.sinks.making import SinkLike, make_sink
from microdelay.remedy.sinks.records import as_batch
from microdelay.remedy.sinks.sink import BusyError, PartlyRefusedError, RefusedError, Sink

MAX_REMEMBERED: Final = 100_000
"""Records of which a member remembers that it has them while another has not: 20 MB. Of batches that were given up
nothing says so, and the oldest are forgotten."""


class Several:
    """Hands each record to every sink: URLs, functions and sinks.

    A record counts as sent when all sinks have it. One that fails gets its records again, those that took them do not;
    whichever failed last is tried last, and an attempt's time is divided among those that are still to come, so that a
    sink that hangs does not keep a batch from the others. The next batches wait for it, though, as one queue has one
    end: where a sink may be down for long and the others must go on, use a `LogBuffer` for each. What a sink refuses is
    set aside with the sink's class in the reason, whether the others have it or not.

    Raises `RemedyError` for what cannot be a sink.
    """

    def __init__(self, *sinks: SinkLike) -> None:
        if not sinks:
            raise RemedyError("Several needs a sink, e.g. Several(url, FileSink(path))")
        self._members = [_Member(make_sink(sink, None)) for sink in sinks]
        self._reasons: dict[str, str] = {}

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """Send to each sink what it does not have yet. Raises `PartlyRefusedError`, or `BusyError` if all is owed."""
        deadline = monotonic() + timeout_s
        records = as_batch(batch, batch_id)
        pause_s = 0.0
        problems: list[str] = []
        for left, member in zip(range(len(self._members), 0, -1), sorted(self._members, key=_failed), strict=True):
            outcome = member.send(records, batch_id, max(deadline - monotonic(), 0.001) / left)
            pause_s = max(pause_s, outcome.pause_s)
            problems += outcome.problems
            for record_id, reason in outcome.refused.items():
                self._reasons[record_id] = "; ".join(filter(None, [self._reasons.get(record_id), reason]))
        self._settle(records, problems, pause_s)

    def forget(self) -> None:
        """Have every sink forget what is the parent's."""
        for member in self._members:
            member.sink.forget()
            member.has.clear()
        self._reasons.clear()

    def _settle(self, records: Batch, problems: list[str], pause_s: float) -> None:
        retry = [at for at, each in enumerate(records.ids) if any(each not in member.has for member in self._members)]
        owed = {records.ids[at] for at in retry}
        refused: dict[int, str] = {}
        for at, each in enumerate(records.ids):
            if each not in owed:
                for member in self._members:
                    member.has.pop(each, None)
                if each in self._reasons:
                    refused[at] = self._reasons.pop(each)
        if len(retry) == len(records):
            raise BusyError("; ".join(problems) or "no time was left to take the batch apart", pause_s)
        if retry or refused:
            raise PartlyRefusedError(refused, retry, pause_s)


class _Outcome:
    """What one member made of a batch."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        self.problems: list[str] = []
        self.pause_s = 0.0


class _Member:
    """A sink, and which records of unsettled batches it has (or has refused)."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.has: dict[str, None] = {}
        self.failed = False

    def send(self, records: Batch, batch_id: str, timeout_s: float) -> _Outcome:
        owed = [at for at, each in enumerate(records.ids) if each not in self.has]
        outcome = _Outcome()
        if owed:
            whole = len(owed) == len(records)
            part = records if whole else records.part(owed)
            self._send(part, batch_id if whole else part.batch_id, monotonic() + timeout_s, outcome)
            self.failed = bool(outcome.problems)
            for _ in range(len(self.has) - MAX_REMEMBERED):
                del self.has[next(iter(self.has))]
        return outcome

    def _send(self, part: Batch, batch_id: str, deadline: float, outcome: _Outcome) -> None:
        """Send it; what is refused as a whole is taken apart until it is one record."""
        try:
            self.sink.send(part, batch_id, max(deadline - monotonic(), 0.001))
        except PartlyRefusedError as error:
            self._took_in_part(part, error.refused, error.retry, outcome)
            if error.retry:
                outcome.problems.append(self._said(error))
            outcome.pause_s = max(outcome.pause_s, error.pause_s)
        except RefusedError as error:
            if len(part) == 1:
                self._took_in_part(part, {0: str(error)}, (), outcome)
                return
            for half in part.halves():
                if monotonic() < deadline and not outcome.problems:
                    self._send(half, half.batch_id, deadline, outcome)
        except Exception as error:
            outcome.problems.append(self._said(error))
            outcome.pause_s = max(outcome.pause_s, error.pause_s if isinstance(error, BusyError) else 0.0)
        else:
            self._took_in_part(part, {}, (), outcome)

    def _took_in_part(self, part: Batch, refused: Mapping[int, str], retry: Sequence[int], outcome: _Outcome) -> None:
        again = set(retry)
        self.has.update((each, None) for at, each in enumerate(part.ids) if at not in again)
        outcome.refused.update((part.ids[at], f"{type(self.sink).__name__}: {why}") for at, why in refused.items())

    def _said(self, error: Exception) -> str:
        return f"{type(self.sink).__name__}: {type(error).__name__}: {error}"


def _failed(member: _Member) -> bool:
    return member.failed
