"""What the lines of a recorded program consist of: runs, waits, and the instants at which one acts on another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

RUN: Final = "run"  # the processor is used; in a task, the loop with it
HOLD: Final = "hold"  # a blocking wait: the processor is free, the loop is not
WAIT: Final = "wait"  # the outside world takes its time
YIELD: Final = "yield"  # a task lets the others that are ready run first
JOIN: Final = "join"  # until the activities in `targets` have ended, and `cost` after that
AWAIT: Final = "await"  # until the activity `targets[0]` has reached the point `key`, and `cost` after that
TAKE: Final = "take"  # until one of what `key` has is free (a pool's worker, a lock, an item), and `cost` after that
MEET: Final = "meet"  # the activities in `targets` had ended by now, as they must have when this is run again
MAY: Final = "may"  # the same, perhaps: at the worst
POST: Final = "post"  # this point, `key`, is reached
GIVE: Final = "give"  # one of what `key` has is free (again)
SPAWN: Final = "spawn"  # the activities in `targets` begin, `cost` later
BEGIN: Final = "begin"  # the trace `key` begins
END: Final = "end"  # the trace `key` ends
FORK: Final = "fork"  # made by an edit: `lanes` run concurrently, and this one waits for them

POINTS = frozenset({POST, GIVE, SPAWN, BEGIN, END})
"""Kinds that take no time."""


@dataclass(slots=True)
class Op:
    """One thing that an activity did from `start_ns` to `end_ns`, taking `cost` when it is run again."""

    kind: str
    start_ns: int
    end_ns: int
    cost: int = 0
    targets: tuple[int, ...] = ()
    key: int = 0
    lanes: Sequence[list[Op]] = ()


@dataclass(slots=True)
class Program:
    """What each activity does, on which event loop (0: none), and which activities start by themselves and when.

    `free` is how many of what a key has are free at the start: the workers of a pool.
    """

    lanes: dict[int, list[Op]]
    loops: dict[int, int]
    roots: list[tuple[int, int]]
    free: dict[int, int] = field(default_factory=dict)


def piece(kind: str, start_ns: int, end_ns: int) -> list[Op]:
    """Give what takes an interval as a list of one, or of none where it is empty."""
    return [Op(kind, start_ns, end_ns, end_ns - start_ns)] if end_ns > start_ns else []
