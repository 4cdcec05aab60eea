"""What a remedy changes in a trace, as data: the replay runs the recorded program with edits applied.

An edit names an activity and intervals of its recorded time; `Cost` is how long what replaces them takes.
"""

from __future__ import annotations

from dataclasses import dataclass


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

VIEWS = ("best", "expected", "worst")
