"""The processes of one recording: each counts its activities, calls and spans for itself, and here they become one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdelay.record import layout
from microdelay.spans import Place
from microdelay.traces.columns import Spans
from microdelay.traces.tables import Activity

STRIDE = 1 << 40
"""Between the ids of two processes; none makes as many."""

SHARED_CLOCKS = ("clock_gettime(CLOCK_MONOTONIC)", "mach_absolute_time()")
"""Clocks that give all processes of a machine the same time."""

MAX_LISTED = 10
"""Processes that a warning names."""

Numbers = NDArray[np.int64]


class Process:
    """One process of a recording: what it said of itself, and where its numbers are put among those of the others."""

    def __init__(self, number: int) -> None:
        self.shift = number * STRIDE
        self.meta: dict[str, Any] = {}
        self.done: dict[str, Any] = {}
        self.is_whole = True
        self.batches = 0
        self.origin: Process | None = None
        """The process that forked this one, whose calls go on in it."""
        self.maker: Process | None = None
        """The process that started this one, and may have given it calls of its own to run."""
        self.later_ns = 0
        """To be added to its times."""
        self._texts = 0

    @property
    def activity(self) -> int:
        """The activity of its main thread, 0 for the one that began the recording."""
        own = self.meta.get("activity", 0)
        return int(own) + self.shift if own else 0

    @property
    def label(self) -> str:
        """How a person knows it."""
        return f"{self.meta.get('pid', '?')} {self.meta.get('name', '')}".strip()

    def new_text(self) -> int:
        """Give the id of the next text."""
        self._texts += 1
        return self.shift + self._texts - 1

    def placed(self, tag: bytes, column: str, values: Numbers) -> Numbers:
        """Give a column of a table as it counts in the whole recording."""
        if not self.shift and "forked" not in self.meta and not self.later_ns and self.maker is None:
            return values  # as almost always: the only process
        if column in layout.TEXT_COLUMNS:
            return np.where(values >= 0, values + self.shift, values)
        if column in layout.ACTIVITY_COLUMNS:
            own = self._inherited("activities", values, 0 if tag == b"ENDA" else self.activity)
            lent = values >= layout.LENT
            if self.maker is None or not lent.any():
                return own
            return np.where(lent, self.maker.placed(b"ACTI", "activity", values - layout.LENT), own)
        if column in layout.INVOCATION_COLUMNS:
            if self.origin is None or tag == b"RETN":
                return self._inherited("invocations", values, 0)
            return self._inherited("invocations", values, self.origin.placed(tag, column, values))
        if column in layout.OTHER_COLUMNS:
            return np.where(values > 0, values + self.shift, values)
        if self.later_ns and column in layout.TIME_COLUMNS:
            return np.where(values > 0, values + self.later_ns, values)
        return values

    def _inherited(self, what: str, values: Numbers, instead: Numbers | int) -> Numbers:
        """Shift numbers, but for those from before the fork that this process began with."""
        limit = int(self.meta.get("forked", {}).get(what, 0))
        own = np.where(values > 0, values + self.shift, values)
        return np.where((values > 0) & (values <= limit), instead, own) if limit else own


class Processes:
    """Those of one recording, as its chunks name them."""

    def __init__(self) -> None:
        self.first = self.current = Process(0)
        self.children: list[dict[str, Any]] = []
        """What parents said of the Python processes that they started."""
        self._known: dict[str, Process] = {}
        self._made = 1

    def turn_to(self, named: Sequence[Any]) -> None:
        """Go on with a batch of another process: `named` is its key, the batch's number, and how many it stands for."""
        if not 2 <= len(named) <= 3 or not all(isinstance(each, int) for each in named[1:]):
            named = ("", 0)
        key, number, count = (*named, 1)[:3]
        self.current = self._of(str(key))
        self.current.is_whole &= number - count == self.current.batches
        self.current.batches = int(number)

    def begin(self, meta: dict[str, Any]) -> None:
        """Take what a process says of itself."""
        key = str(meta.get("process", ""))
        if not self.first.meta:
            self._known[key] = self.first
        process = self.current = self._of(key)
        process.meta |= meta
        if key and meta.get("clock") not in SHARED_CLOCKS:
            process.later_ns = self._epoch(self.first.meta, meta)
        if meta.get("parent"):
            process.maker = self._of(str(meta["parent"]["process"]))
        if "forked" in meta:
            process.origin = self._of(str(meta["forked"]["from"]))

    @property
    def has_end(self) -> bool:
        """Whether the process that began the recording wrote its end, or went on elsewhere."""
        return bool(self.first.done) or self._went_on(self.first)

    def meta(self) -> dict[str, Any]:
        """Give what the recording says of itself."""
        others = [process.meta for process in self._all()[1:]]
        return self.first.meta | {"processes": others} if others else self.first.meta

    def done(self) -> dict[str, Any]:
        """Give what the ends of all processes say together."""
        ends = [process.done for process in self._all() if process.done]
        if not self.first.done or len(ends) == 1:
            return self.first.done
        sampled = [end["sampling"] for end in ends if "sampling" in end]
        totals = {key: sum(each[key] for each in sampled) for key in ("seen", "sampled", "slow")}
        budgets = [end["budget"] for end in ends if "budget" in end]
        budget = {key: sum(each[key] for each in budgets) for key in ("traces", "detailed", "cost_ns", "wall_ns")}
        troubles: dict[str, int] = {}
        for end in ends:
            for where, count in end.get("troubles", {}).items():
                troubles[where] = troubles.get(where, 0) + count
        return (
            self.first.done
            | {
                "end_ns": max(end.get("end_ns", 0) for end in ends),
                "dropped": sum(end.get("dropped", 0) for end in ends),
                "unwritten": sum(end.get("unwritten", 0) for end in ends),
                "probes": sorted({probe for end in ends for probe in end.get("probes", ())}),
                "troubles": troubles,
                "patched_by": sorted({name for end in ends for name in end.get("patched_by", ())}),
            }
            | ({"sampling": sampled[0] | totals} if sampled else {})
            | ({"budget": budgets[0] | budget} if budgets else {})
        )

    def activities(self) -> dict[int, Activity]:
        """Give the main thread of each process that another one started, as that one's child."""
        return {made.id: made for made in map(self._main, self._all()) if made.id}

    def joins(self, spans: Spans) -> dict[int, tuple[int, ...]]:
        """Give the processes that spans waited for, known by their process id."""
        mains = {process.meta.get("pid"): process.activity for process in self._all() if process.activity}
        if not mains:
            return {}
        waiting = spans.take(spans.where(lambda shape: shape.attributes.get("process.pid") in mains))
        return {span.id: (mains[span.attributes["process.pid"]],) for span in waiting}

    def warnings(self) -> Iterator[str]:
        """Give what is missing of other processes."""
        broken = [process for process in self._all() if not process.is_whole]
        if broken:
            yield f"what came after the damage is left out of: {_listed([each.label for each in broken])}"
        endless = [each for each in self._all()[1:] if each.meta and not each.done and not self._went_on(each)]
        if endless:
            yield f"without an end (killed, or still running): {_listed([each.label for each in endless])}"
        missing = list(self._missing())
        if missing:
            count = f"{len(missing)} Python process{'es' if len(missing) > 1 else ''}"
            yield f"{count} not recorded: {_listed(missing)}"

    def _missing(self) -> Iterator[str]:
        arrived = Counter(process.meta.get("token") for process in self._all())
        reasons = {child.get("token"): child.get("reason") for child in self.children if child.get("reason")}
        for child in self.children:
            token = child.get("token")
            if "command" not in child:
                continue
            arrived[token] -= 1  # a shell may start several with one
            if token is None or arrived[token] < 0:
                reason = child.get("reason") or reasons.get(token)
                why = reason or "not started, another user, or ended at once"
                yield f"{child.get('pid') or '?'} {child['command']} ({why})"

    def _of(self, key: str) -> Process:
        process = self._known.get(key)
        if process is None:
            process = self._known[key] = Process(self._made)
            self._made += 1
        return process

    def _all(self) -> list[Process]:
        return [self.first, *(process for process in self._known.values() if process is not self.first)]

    def _went_on(self, process: Process) -> bool:
        """Tell whether a process became another program, or goes on in the next file of the recording."""
        key = process.meta.get("process")
        all_ = self._all()
        return any(each.meta.get("replaces", "") == key or each.done.get("continued") for each in all_)

    def _main(self, process: Process) -> Activity:
        meta, parent = process.meta, process.meta.get("parent")
        if not parent:
            return Activity(process.activity, "process", str(meta.get("name", "")), start_ns=meta.get("start_ns", 0))
        maker = self._of(str(parent["process"]))
        file, line, function, end_line, column, end_column = parent["place"] or ("", 0, "", 0, -1, -1)
        place = Place(file, line, function, end_line, column, end_column) if file else None
        numbers = {name: np.array([int(parent[name])]) for name in ("activity", "invocation")}
        activity, invocation = (int(maker.placed(b"ACTI", name, each)[0]) for name, each in numbers.items())
        return Activity(
            id=process.activity,
            kind="process",
            name=str(meta.get("name", "")),
            parent=activity,
            created_ns=int(parent["created_ns"]) + maker.later_ns,
            start_ns=int(meta["start_ns"]) + process.later_ns,
            end_ns=int(process.done["end_ns"]) + process.later_ns if process.done else 0,
            invocation=invocation,
            site=place,
        )

    @staticmethod
    def _epoch(first: Mapping[str, Any], meta: Mapping[str, Any]) -> int:
        offsets = [int(each.get("start_unix_ns", 0)) - int(each.get("start_ns", 0)) for each in (meta, first)]
        return offsets[0] - offsets[1]


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_LISTED
    return ", ".join(names[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
