"""A computation that blocks an event loop is named by the line at which the sampler saw it."""

from __future__ import annotations

from microdelay.diagnose.case import Case
from microdelay.diagnose.rules import blocked_loop
from microdelay.spans import Place
from microdelay.traces import Activity, Recording, Sample, Step, Trace

MS = 1_000_000
BEFORE, AFTER = Place("agent.py", 3, "turn"), Place("agent.py", 8, "rank")


def test_line_comes_from_the_sampler() -> None:
    steps = {1: [Step(1, 0, 60 * MS, 80 * MS, 80 * MS, site=BEFORE), Step(1, 80 * MS, 81 * MS)]}
    samples = {
        1: [
            Sample(1, 0, 10 * MS, 10 * MS, 10 * MS, site=BEFORE),
            Sample(1, 10 * MS, 50 * MS, 40 * MS, 50 * MS, looks=4, site=AFTER, package="numpy"),
        ]
    }
    activities = {1: Activity(1, "task", "turn", end_ns=81 * MS)}
    recording = Recording([], activities=activities, steps=steps, samples=samples)
    trace = Trace(1, "turn", 1, 0, 81 * MS, (), frozenset({1}))
    [finding] = blocked_loop.find(Case(recording, [trace]))
    assert finding.where == AFTER
    assert finding.what.startswith("computation at line 8 in rank")
