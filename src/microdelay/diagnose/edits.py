"""What a remedy changes in a trace, as data: the replay runs the recorded program with edits applied.

An edit names an activity and intervals of its recorded time; `Cost` is how long what replaces them takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from microdelay.traces.index import Ints


@dataclass(frozen=True, slots=True)
class Cost:
    """Nanoseconds at the least (`best`), most likely (`expected`) and at the most (`worst`)."""

    best: int
    expected: int
    worst: int

    def at(self, view: str) -> int:
        """Give the figure for one view: best, expected or worst."""
        return int(getattr(self, view))


NOTHING = Cost(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Replace:
    """What ran in an interval takes `cost` instead: answered from memory, done by one call, handed to a worker."""

    activity: int
    start_ns: int
    end_ns: int
    cost: Cost = NOTHING


@dataclass(frozen=True, slots=True)
class Together:
    """What ran in these intervals, one after the other, begins at the first one's place and runs concurrently.

    `slowdown` is by how much each may take longer because the others run: (best, expected, worst) factors. `extra` is
    what each has to wait for besides, in ns, because none finds what the first one keeps for the others; at best, one
    asks for all.
    """

    activity: int
    intervals: tuple[tuple[int, int], ...]
    slowdown: tuple[float, float, float] = (1.0, 1.0, 1.1)
    extra: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Unblock:
    """What blocked the event loop in an interval runs beside it; the task itself still waits for it.

    What is `computing` gains from that only in another process: in a thread it still holds the interpreter's lock,
    so at the worst nothing is saved.
    """

    activity: int
    start_ns: int
    end_ns: int
    computing: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """An item that `activity` gave to a pool begins `cost` after that, instead of waiting for a free thread."""

    activity: int
    item: int
    cost: Cost = NOTHING


@dataclass(frozen=True, slots=True)
class Shorten:
    """What an activity did in an interval takes `by_ns` and a `share` of it less; all of it by as much of itself.

    `what` are the kinds of ops that get shorter (see `ops`), the waiting or the computing; the other one only where
    that is not enough.
    """

    activity: int
    start_ns: int
    end_ns: int
    what: frozenset[str]
    by_ns: int = 0
    share: float = 0.0


Edit = Replace | Shorten | Start | Together | Unblock


class Edits(Sequence[Edit]):
    """Edits of one kind as columns; each becomes an object when somebody asks for it.

    `make` gives the edit of (activity, start_ns, end_ns): the same numbers must give equal edits. A replay of a long
    recording looks at few of them.
    """

    def __init__(self, activity: Ints, start_ns: Ints, end_ns: Ints, make: Callable[[int, int, int], Edit]) -> None:
        self.activity, self.start_ns, self.end_ns, self._make = activity, start_ns, end_ns, make

    def __len__(self) -> int:
        return len(self.start_ns)

    @overload
    def __getitem__(self, index: int) -> Edit: ...
    @overload
    def __getitem__(self, index: slice) -> Edits: ...
    def __getitem__(self, index: int | slice) -> Edit | Edits:
        if isinstance(index, slice):
            return Edits(self.activity[index], self.start_ns[index], self.end_ns[index], self._make)
        return self._make(int(self.activity[index]), int(self.start_ns[index]), int(self.end_ns[index]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


class Replacements(Edits):
    """Replacements as columns, each at its own cost: `cost_ns` has a row of (best, expected, worst) for each.

    Where it is not given, nothing is left of any of them.
    """

    def __init__(self, activity: Ints, start_ns: Ints, end_ns: Ints, cost_ns: Ints | None = None) -> None:
        super().__init__(activity, start_ns, end_ns, Replace)
        self.cost_ns = np.zeros((len(start_ns), len(VIEWS)), np.int64) if cost_ns is None else cost_ns

    def joined(self, more: Replacements) -> Replacements:
        """Give these, and then others."""
        return Replacements(
            np.append(self.activity, more.activity),
            np.append(self.start_ns, more.start_ns),
            np.append(self.end_ns, more.end_ns),
            np.concatenate([self.cost_ns, more.cost_ns]),
        )

    @overload
    def __getitem__(self, index: int) -> Replace: ...
    @overload
    def __getitem__(self, index: slice) -> Replacements: ...
    def __getitem__(self, index: int | slice) -> Replace | Replacements:
        if isinstance(index, slice):
            return Replacements(self.activity[index], self.start_ns[index], self.end_ns[index], self.cost_ns[index])
        cost = self.cost_ns[index].tolist()
        known = Cost(*cost) if any(cost) else NOTHING
        return Replace(int(self.activity[index]), int(self.start_ns[index]), int(self.end_ns[index]), known)


VIEWS = ("best", "expected", "worst")
