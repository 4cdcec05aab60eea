"""Calls, activities, steps and samples as columns; their objects are made when somebody asks for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from microdelay.spans import Place
from microdelay.traces.index import Groups, Ints
from microdelay.traces.records import ByActivity, ById, Places, Texts, column


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of one of the user's functions below which something waited.

    `start_ns` is its first wait, `end_ns` the end of the call. `caller` is the invocation it was called from (0 at the
    top of an activity), `site` the place of that call.
    """

    id: int
    function: str
    file: str
    line: int
    activity: int
    start_ns: int
    end_ns: int
    caller: int = 0
    site: Place | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """A line of execution: `kind` is thread, work (a pool's item) or task; `end_ns` is 0 if its end was not seen.

    `parent` created it at `created_ns`, at `site` in `invocation`; `start_ns` is when it first ran.
    """

    id: int
    kind: str
    name: str
    parent: int = 0
    created_ns: int = 0
    start_ns: int = 0
    end_ns: int = 0
    invocation: int = 0
    site: Place | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A run of an asyncio task and the wait after it.

    It ran from `start_ns` to `end_ns`, then awaited `on` at `site` until it ran again at `resumed_ns` (0: it ended).
    It was made ready at `ready_ns` by activity `cause` (0: by the outside world). `joins` are awaited activities.
    """

    activity: int
    start_ns: int
    end_ns: int
    resumed_ns: int = 0
    ready_ns: int = 0
    cause: int = 0
    invocation: int = 0
    site: Place | None = None
    on: str = ""
    joins: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """What a thread did from one look of the sampler at it (`start_ns`) to another (`end_ns`), as seen at the latter.

    `site` is the user's innermost place, `call` the library's function called from there, `package` the library that
    ran ("" where it was the user's code). `cpu_ns` is the thread's processor time in between and `clock_ns` its clock
    at the end (-1 where unknown), `late_ns` how long the sampler itself waited for its turn, `delay_ns` how long the
    thread was ready and had no core. In `looks` looks the thread was at the same place (0: nobody looked, a call was
    measured as a whole); it is `still` if its innermost frame stood at one instruction, and `probed` if a probe times
    what it did.
    """

    activity: int
    start_ns: int
    end_ns: int
    cpu_ns: int = -1
    clock_ns: int = -1
    late_ns: int = 0
    looks: int = 1
    is_still: bool = False
    is_probed: bool = False
    invocation: int = 0
    site: Place | None = None
    package: str = ""
    call: str = ""
    delay_ns: int = 0


class Invocations(ById[Invocation]):
    """Calls under their ids; columns as the fields of `Invocation`, `site` as a number of `places`."""

    COLUMNS: Final = ("id", "line", "activity", "start_ns", "end_ns", "caller", "site")

    def __init__(
        self,
        columns: Mapping[str, Ints],
        function: Texts,
        file: Texts,
        places: Places,
        made: dict[int, Invocation] | None = None,
    ) -> None:
        super().__init__(columns["id"], made)
        self.line, self.activity, self.start_ns, self.end_ns, self.caller, self.site = (
            columns[name] for name in self.COLUMNS[1:]
        )
        self.function, self.file, self.places = function, file, places

    @classmethod
    def of(cls, calls: Mapping[int, Invocation], places: Places) -> Invocations:
        """Give columns made from objects."""
        if isinstance(calls, cls):
            return calls
        rows = list(calls.values())
        columns = {name: column(getattr(call, name) for call in rows) for name in cls.COLUMNS[:-1]}
        columns["site"] = column(places.code(call.site) for call in rows)
        function, file = Texts.of(call.function for call in rows), Texts.of(call.file for call in rows)
        return cls(columns, function, file, places, dict(enumerate(rows)))

    def _make(self, rows: Ints) -> Iterator[Invocation]:
        known = self.places.known
        numbers = (self.line, self.activity, self.start_ns, self.end_ns, self.caller, self.site)
        columns = (self.function.at(rows), self.file.at(rows), *(each[rows].tolist() for each in numbers))
        for key, function, file, line, activity, start, end, caller, site in zip(
            self.id[rows].tolist(), *columns, strict=True
        ):
            yield Invocation(key, function, file, line, activity, start, end, caller, known[site])


class Activities(ById[Activity]):
    """Activities under their ids; columns as the fields of `Activity`, `site` as a number of `places`."""

    COLUMNS: Final = ("id", "parent", "created_ns", "start_ns", "end_ns", "invocation", "site")

    def __init__(
        self,
        columns: Mapping[str, Ints],
        kind: Texts,
        name: Texts,
        places: Places,
        made: dict[int, Activity] | None = None,
    ) -> None:
        super().__init__(columns["id"], made)
        self.parent, self.created_ns, self.start_ns, self.end_ns, self.invocation, self.site = (
            columns[name] for name in self.COLUMNS[1:]
        )
        self.kind, self.name, self.places = kind, name, places

    @classmethod
    def of(cls, activities: Mapping[int, Activity], places: Places) -> Activities:
        """Give columns made from objects."""
        if isinstance(activities, cls):
            return activities
        rows = list(activities.values())
        columns = {name: column(getattr(each, name) for each in rows) for name in cls.COLUMNS[:-1]}
        columns["site"] = column(places.code(each.site) for each in rows)
        kind, name = Texts.of(each.kind for each in rows), Texts.of(each.name for each in rows)
        return cls(columns, kind, name, places, dict(enumerate(rows)))

    def _make(self, rows: Ints) -> Iterator[Activity]:
        known = self.places.known
        numbers = (self.parent, self.created_ns, self.start_ns, self.end_ns, self.invocation, self.site)
        columns = (self.kind.at(rows), self.name.at(rows), *(each[rows].tolist() for each in numbers))
        for key, kind, name, parent, created, start, end, invocation, site in zip(
            self.id[rows].tolist(), *columns, strict=True
        ):
            yield Activity(key, kind, name, parent, created, start, end, invocation, known[site])

    def makers(self, rows: Ints) -> Ints:
        """Give the rows of the activities that made some, -1 where that is not known."""
        parents = self.parent[rows]
        return np.where(parents < self.id[rows], self.index.rows(parents), -1)


class Offspring(Mapping[int, Sequence[Activity]]):
    """The activities that each activity created."""

    def __init__(self, activities: Activities, groups: Groups) -> None:
        self._activities = activities
        self._groups = groups

    def __getitem__(self, parent: int) -> list[Activity]:
        rows = self._groups.get(parent)
        if not len(rows):
            raise KeyError(parent)
        return self._activities.rows(rows.tolist())

    def __iter__(self) -> Iterator[int]:
        return iter(self._groups)

    def __len__(self) -> int:
        return len(self._groups)


class Steps(ByActivity[Step]):
    """The steps of each task, by start; columns as the fields of `Step`, `joins` by `start_ns`."""

    COLUMNS: Final = ("activity", "start_ns", "end_ns", "resumed_ns", "ready_ns", "cause", "invocation", "site")

    def __init__(
        self,
        columns: Mapping[str, Ints],
        on: Texts,
        joins: Groups,
        places: Places,
        made: dict[int, Step] | None = None,
    ) -> None:
        super().__init__(columns["activity"], columns["start_ns"], made)
        self.end_ns, self.resumed_ns, self.ready_ns, self.cause, self.invocation, self.site = (
            columns[name] for name in self.COLUMNS[2:]
        )
        self.on, self.joins, self.places = on, joins, places

    @classmethod
    def of(cls, steps: Mapping[int, Sequence[Step]], places: Places) -> Steps:
        """Give columns made from objects."""
        if isinstance(steps, cls):
            return steps
        rows = [step for activity in sorted(steps) for step in steps[activity]]
        columns = {name: column(getattr(step, name) for step in rows) for name in cls.COLUMNS[:-1]}
        columns["site"] = column(places.code(step.site) for step in rows)
        columns["activity"] = column(activity for activity in sorted(steps) for _ in steps[activity])
        pairs = [(step.start_ns, target) for step in rows for target in step.joins]
        joins = Groups(column(start for start, _ in pairs), column(target for _, target in pairs))
        return cls(columns, Texts.of(step.on for step in rows), joins, places, dict(enumerate(rows)))

    def _make(self, rows: Ints) -> Iterator[Step]:
        known = self.places.known
        numbers = (self.end_ns, self.resumed_ns, self.ready_ns, self.cause, self.invocation, self.site)
        columns = (self.start_ns[rows].tolist(), *(each[rows].tolist() for each in numbers), self.on.at(rows))
        for activity, start, end, resumed, ready, cause, invocation, site, on in zip(
            self.activity[rows].tolist(), *columns, strict=True
        ):
            joins = tuple(self.joins.get(start).tolist()) if len(self.joins) else ()
            yield Step(activity, start, end, resumed, ready, cause, invocation, known[site], on, joins)


class Samples(ByActivity[Sample]):
    """The samples of each activity, by start; columns as the fields of `Sample`."""

    COLUMNS: Final = (
        "activity", "start_ns", "end_ns", "cpu_ns", "clock_ns", "late_ns", "delay_ns", "looks", "is_still",
        "is_probed", "invocation", "site",
    )  # fmt: skip

    def __init__(
        self,
        columns: Mapping[str, Ints],
        package: Texts,
        call: Texts,
        places: Places,
        made: dict[int, Sample] | None = None,
    ) -> None:
        super().__init__(columns["activity"], columns["start_ns"], made)
        (
            self.end_ns, self.cpu_ns, self.clock_ns, self.late_ns, self.delay_ns, self.looks, self.is_still,
            self.is_probed, self.invocation, self.site,
        ) = (columns[name] for name in self.COLUMNS[2:])  # fmt: skip
        self.ends = np.ascontiguousarray(self.end_ns).data
        """The ends, for `bisect`."""
        self.package, self.call, self.places = package, call, places

    @classmethod
    def of(cls, samples: Mapping[int, Sequence[Sample]], places: Places) -> Samples:
        """Give columns made from objects."""
        if isinstance(samples, cls):
            return samples
        rows = [sample for activity in sorted(samples) for sample in samples[activity]]
        columns = {name: column(int(getattr(each, name)) for each in rows) for name in cls.COLUMNS[:-1]}
        columns["site"] = column(places.code(each.site) for each in rows)
        columns["activity"] = column(activity for activity in sorted(samples) for _ in samples[activity])
        package, call = Texts.of(each.package for each in rows), Texts.of(each.call for each in rows)
        return cls(columns, package, call, places, dict(enumerate(rows)))

    def _make(self, rows: Ints) -> Iterator[Sample]:
        known = self.places.known
        numbers = (self.end_ns, self.cpu_ns, self.clock_ns, self.late_ns, self.looks)
        flags = (self.is_still, self.is_probed)
        columns = (
            self.start_ns[rows].tolist(), *(each[rows].tolist() for each in numbers),
            *((each[rows] != 0).tolist() for each in flags), self.invocation[rows].tolist(),
            [known[site] for site in self.site[rows].tolist()], self.package.at(rows), self.call.at(rows),
            self.delay_ns[rows].tolist(),
        )  # fmt: skip
        for values in zip(self.activity[rows].tolist(), *columns, strict=True):
            yield Sample(*values)
