"""Pricing: what a remedy saves in every trace, also of a recording too long to be replayed whole."""

from __future__ import annotations

import numpy as np
import pytest

from microdelay.diagnose import pricing, sample
from microdelay.diagnose.edits import Replace
from microdelay.diagnose.pricing import Pricing
from microdelay.spans import Span
from microdelay.traces import Activity, Recording, Trace

MS = 1_000_000
MAIN = 1


def long_recording(count: int) -> tuple[Recording, list[Trace]]:
    """Traces one after the other: a call of 10 to 29 ms in each, in every tenth one more of 50 ms."""
    spans: list[Span] = []
    traces: list[Trace] = []
    at = 0
    for number in range(count):
        lengths = [10 + number * 7 % 20] + [50] * (number % 10 == 3)
        start = at
        for length in lengths:
            spans.append(Span(len(spans) + 1, "http", f"GET /{length == 50}", at, at + length * MS, MAIN))
            at += length * MS + MS
        traces.append(Trace(number + 1, "unit", MAIN, start, at, (), frozenset({MAIN})))
        at += MS
    return Recording(spans=spans, activities={MAIN: Activity(MAIN, "thread", "main")}), traces


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "WHOLE", 100)
    monkeypatch.setattr(sample, "DRAWN", 60)


@pytest.mark.usefixtures("in_parts")
def test_drawn_traces_stand_for_the_others():
    recording, traces = long_recording(1000)
    edits = [Replace(MAIN, span.start_ns, span.end_ns) for span in recording.spans]
    priced = Pricing(recording, traces, [edits])
    assert len(priced.sampled) < 100
    saved = priced.savings(edits)["expected"]
    truth = np.array([trace.duration_ns for trace in traces]) - np.array(
        [2 * MS if number % 10 == 3 else MS for number in range(len(traces))]
    )
    assert saved.mean() == pytest.approx(truth.mean(), rel=0.03)
    interval = priced.interval(priced.savings(edits))
    assert interval.low <= truth.mean() <= interval.high


@pytest.mark.usefixtures("in_parts")
def test_finding_in_few_traces_is_among_the_drawn_ones_and_counted_for_those_only():
    recording, traces = long_recording(1000)
    edits = [Replace(MAIN, span.start_ns, span.end_ns) for span in recording.spans if span.name == "GET /True"]
    priced = Pricing(recording, traces, [edits])
    saved = priced.savings(edits)["expected"]
    assert saved.mean() == pytest.approx(5 * MS)
    assert np.count_nonzero(saved) == 100


@pytest.mark.usefixtures("in_parts")
def test_same_recording_has_the_same_price():
    recording, traces = long_recording(300)
    edits = [Replace(MAIN, span.start_ns, span.end_ns) for span in recording.spans[::3]]
    one, other = (Pricing(recording, traces, [edits]) for _ in range(2))
    assert one.interval(one.savings(edits)) == other.interval(other.savings(edits))


def test_short_recording_is_replayed_whole():
    recording, traces = long_recording(50)
    assert Pricing(recording, traces).is_whole


def test_parts_of_a_recording_replay_as_the_whole_does(monkeypatch: pytest.MonkeyPatch):
    recording, traces = long_recording(60)
    whole = Pricing(recording, traces)
    monkeypatch.setattr(pricing, "WHOLE", 0)
    parts = Pricing(recording, traces)
    assert parts.is_whole
    edits = [Replace(MAIN, span.start_ns, span.end_ns) for span in recording.spans[::2]]
    assert parts.savings(edits)["expected"].tolist() == whole.savings(edits)["expected"].tolist()
    assert parts.fidelity() == whole.fidelity() == (0.0, 0.0)
