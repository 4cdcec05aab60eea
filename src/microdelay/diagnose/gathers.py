"""Calls that one call runs beside one another and waits for: `await gather(…)`, `await create_task(…)`, `to_thread`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from microdelay.spans import Place
from microdelay.traces.assemble import WORK_LATE_NS
from microdelay.traces.index import Bools, Index, Ints
from microdelay.traces.model import Recording


@dataclass(frozen=True, eq=False)
class Gathers:
    """What calls made tasks for, at one place each, and then waited for; as columns.

    Of gather `number[i]` is the task with the id `task[i]`. The gather was made by `activity` in its call `invocation`
    (ids), at the place of that number, and took from `start_ns`, when the first task was made, until `end_ns`, when
    its maker went on.
    """

    task: Ints
    number: Ints
    activity: Ints
    invocation: Ints
    site: Ints
    start_ns: Ints
    end_ns: Ints

    @cached_property
    def _index(self) -> Index:
        return Index(self.task)

    def of(self, activities: Ints) -> Ints:
        """Give the number of the gather that each of some activities is a task of, -1 for the others."""
        if not len(self.task):
            return np.full(len(activities), -1)
        row = self._index.rows(activities)
        return np.where(row >= 0, self.number[row], -1)


def gathers_of(recording: Recording) -> Gathers:
    """Give those of all activities."""
    steps, lives, joins = recording.runs, recording.lives, recording.runs.joins
    if not len(joins) or not len(lives.id):
        return Gathers(*[np.zeros(0, np.int64)] * 7)
    step = _steps_of(recording)
    made = lives.index.rows(joins.values)
    first = made[joins.starts[:-1]]
    number = np.flatnonzero(_are_gathers(recording, step, made))
    number = number[_wait_there(recording, lives.site[first[number]], steps.site[step[number]])]
    starts, first, step = (
        np.minimum.reduceat(lives.created_ns[made], joins.starts[:-1])[number],
        first[number],
        step[number],
    )
    count = np.diff(joins.starts)[number]
    tasks = np.isin(np.repeat(np.arange(len(joins)), np.diff(joins.starts)), number)
    return Gathers(
        joins.values[tasks],
        np.repeat(np.arange(len(number)), count),
        steps.activity[step],
        lives.invocation[first],
        lives.site[first].astype(np.int64),
        starts,
        steps.resumed_ns[step],
    )


def _steps_of(recording: Recording) -> Ints:
    """Give the row of the step that waited, for each key of the joins; -1 where it did not go on."""
    steps = recording.runs
    keys = steps.joins.keys
    group = np.clip(np.searchsorted(keys, steps.start_ns), 0, len(keys) - 1)
    at = np.flatnonzero((keys[group] == steps.start_ns) & (steps.resumed_ns > 0))
    found = np.full(len(keys), -1, np.int64)
    found[group[at]] = at
    return found


def _are_gathers(recording: Recording, step: Ints, made: Ints) -> Bools:
    """Tell of each join whether its step made all tasks of it at one place, and went on when all had ended."""
    steps, lives, joins = recording.runs, recording.lives, recording.runs.joins
    group = np.repeat(np.arange(len(step)), np.diff(joins.starts))
    first, of = made[joins.starts[:-1]][group], step[group]
    right = (made >= 0) & (of >= 0)
    right &= lives.parent[made] == steps.activity[of]
    right &= (lives.site[made] == lives.site[first]) & (lives.invocation[made] == lives.invocation[first])
    right &= (lives.created_ns[made] >= steps.start_ns[of]) & (lives.created_ns[made] <= steps.end_ns[of])
    late_ns = np.where(lives.kind.are("work")[made], WORK_LATE_NS, 0)
    right &= (lives.end_ns[made] > 0) & (lives.end_ns[made] <= steps.resumed_ns[of] + late_ns)
    are: Bools = np.bincount(group, ~right, len(step)) == 0
    return are


def _wait_there(recording: Recording, made: Ints, waited: Ints) -> Bools:
    """Tell of pairs of places, by their numbers, whether what waits stands where the tasks are made."""
    places = recording.lives.places.known
    pairs = list(zip(made.tolist(), waited.tolist(), strict=True))
    known = {pair: _is_in(places[pair[0]], places[pair[1]]) for pair in set(pairs)}
    return np.array([known[pair] for pair in pairs], bool)


def _is_in(made: Place | None, waited: Place | None) -> bool:
    if made is None or waited is None or (waited.file, waited.function) != (made.file, made.function):
        return False
    return waited.line <= max(made.line, made.end_line) and made.line <= max(waited.line, waited.end_line)
