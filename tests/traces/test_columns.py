"""Recordings as columns: what is read is what objects would say, and no object is made that nobody asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from microdelay.diagnose.case import Case
from microdelay.diagnose.diagnosis import diagnose
from microdelay.diagnose.rule import chosen
from microdelay.spans import DB, LOG, Span
from microdelay.traces import Recording, assemble, read
from microdelay.traces.index import coded, grouped, in_order

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import big_recording

TRACES = 6


@pytest.fixture(scope="module", params=[False, True], ids=["threads", "asyncio"])
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("columns") / "agent.mdr"
    big_recording.write(path, TRACES, is_async=request.param)
    return path


def of_objects(recording: Recording) -> Recording:
    """Make the same recording of objects."""
    return Recording(
        list(recording.spans),  # type: ignore[arg-type]
        dict(recording.invocations),
        dict(recording.activities),
        {key: list(lane) for key, lane in recording.steps.items()},
        recording.joins,
        recording.meta,
        recording.done,
        recording.warnings,
        recording.sources,
        recording.path,
        {key: list(lane) for key, lane in recording.samples.items()},
    )


def test_reading_and_finding_the_traces_makes_no_span_object(file: Path) -> None:
    recording = read(file)
    traces = assemble(recording)
    assert [len(trace.spans) for trace in traces] == [big_recording.SPANS] * TRACES
    assert not recording.spans.table.made


def test_columns_say_what_the_objects_say(file: Path) -> None:
    recording = read(file)
    spans = recording.spans
    assert [span.start_ns for span in spans] == spans.start_ns.tolist()
    assert [span.site for span in spans] == spans.places()
    assert [span.kind == DB for span in spans] == spans.of_kinds({DB}).tolist()
    assert recording.by_id[spans[7].id] is spans[7]


def test_diagnosis_of_columns_is_that_of_the_same_recording_made_of_objects(file: Path) -> None:
    found = []
    for recording in (read(file), of_objects(read(file))):
        diagnosis = diagnose(recording, assemble(recording), chosen())
        found.append([
            (each.id, each.what, each.count, each.total_ns, each.saving, list(each.edits), [s.id for s in each.spans])
            for each in diagnosis.findings
        ])  # fmt: skip
    assert found[0] == found[1]
    assert len(found[0]) >= 5


def test_selected_rows_are_those_that_a_look_at_every_span_gives(file: Path) -> None:
    recording = read(file)
    case = Case(recording, assemble(recording))
    chosen_ = case.select({DB}, lambda shape: shape.attributes.get("part") != "fetch", outermost=True)
    plain = [
        (trace.id, span.id)
        for trace in case.traces
        for span in trace.spans
        if span.kind == DB and span.attributes.get("part") != "fetch" and not case.inside_wait(span)
    ]
    assert [(trace.id, span.id) for trace, span in case.pairs(chosen_)] == plain
    groups = list(chosen_.groups(chosen_.trace, chosen_.spans.site, least=3))
    assert {len(group) for group in groups} <= {27, 30}
    assert len(groups) == TRACES


def test_requests_of_log_calls_stand_inside_of_them(file: Path) -> None:
    recording = read(file)
    case = Case(recording, assemble(recording))
    for span in recording.spans:
        around = recording.by_id.get(recording.parents[span.id])
        if around is not None and around.kind == LOG:
            assert case.inside_wait(span)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(0, 9)), max_size=30))
def test_parent_is_the_nearest_span_before_in_the_activity_that_ends_no_earlier(
    drawn: list[tuple[int, int, int]],
) -> None:
    spans = [
        Span(n, "http", "", start, start + length, activity) for n, (activity, start, length) in enumerate(drawn, 1)
    ]
    recording = Recording(spans)  # type: ignore[arg-type]
    for lane in recording.lanes.values():
        before: list[Span] = []
        for span in lane:
            around = [each for each in before if each.end_ns >= span.end_ns]
            assert recording.parents[span.id] == (around[-1].id if around else 0)
            before.append(span)


INTERVAL = st.tuples(st.integers(0, 4), st.integers(0, 22), st.integers(0, 22))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20), st.integers(0, 9)), max_size=30), st.lists(INTERVAL))
def test_spans_of_many_intervals_are_those_of_each(
    drawn: list[tuple[int, int, int]], intervals: list[tuple[int, int, int]]
) -> None:
    spans = [
        Span(n, "http", "", start, start + length, activity) for n, (activity, start, length) in enumerate(drawn, 1)
    ]
    lanes = Recording(spans).lanes  # type: ignore[arg-type]
    activity, start_ns, end_ns = (np.array([each[n] for each in intervals], np.int64) for n in range(3))
    rows, owner = lanes.within_each(activity, start_ns, end_ns)
    for number, interval in enumerate(intervals):
        assert rows[owner == number].tolist() == lanes.within(*interval).tolist()


NUMBERS = st.integers(-3, 3) | st.integers(-(1 << 40), 1 << 40)


@given(st.lists(st.tuples(NUMBERS, NUMBERS)))
def test_equal_rows_have_one_number_in_the_order_of_their_values(rows: list[tuple[int, int]]) -> None:
    columns = [np.array([row[n] for row in rows], np.int64) for n in range(2)]
    numbers = {row: number for number, row in enumerate(sorted(set(rows)))}
    assert coded(*columns).tolist() == [numbers[row] for row in rows]
    found = [tuple(positions.tolist()) for positions in grouped(*columns)]
    first = list(dict.fromkeys(rows))
    assert found == [tuple(at for at, row in enumerate(rows) if row == each) for each in first]


@pytest.mark.parametrize("most", [3, 70_000, 1 << 40])
def test_codes_of_any_size_come_in_order_and_equal_ones_as_they_were(most: int) -> None:
    codes = np.random.default_rng(0).integers(0, most, 5_000)
    assert in_order(codes).tolist() == sorted(range(len(codes)), key=lambda at: (codes[at], at))
    assert in_order(np.sort(codes)).tolist() == list(range(len(codes)))
