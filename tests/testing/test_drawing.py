"""Timelines drawn as text."""

from __future__ import annotations

from pathlib import Path

import pytest

from microdelay.errors import UsageError
from microdelay.testing import draw
from microdelay.traces import assemble

MS = 1_000_000


def test_brackets_and_letters_are_spans_of_ten_ms_a_character() -> None:
    recording = draw(
        """
        main  |[user   ]  cc
        user: GET http://api/users  at 7
        c: connect api:80
        """
    )
    user, connect = recording.spans
    assert (user.kind, user.name, user.start_ns, user.end_ns) == ("http", "GET /users", 0, 90 * MS)
    assert (connect.kind, connect.start_ns, connect.end_ns) == ("connect", 110 * MS, 130 * MS)
    assert user.site is not None
    assert user.site.line == 7
    assert user.attributes["server.address"] == "api"


def test_a_second_line_of_an_activity_stands_inside_the_first() -> None:
    recording = draw(
        """
        1 character = 1 ms
        main  |[get    ]
        main  | cc
        get: GET http://api/users
        c: connect api:80
        """
    )
    get, connect = recording.spans
    assert recording.parents[connect.id] == get.id
    assert get.end_ns == 9 * MS


def test_values_are_the_same_different_or_unknown_as_declared() -> None:
    recording = draw(
        """
        main  |[a][b][d][a][b][d]
        a: GET http://api/a
        b: GET http://api/b  input=each output=each
        d: GET http://api/d  input=none output=none
        """
    )
    first, second = recording.spans[:3], recording.spans[3:]
    assert [one.input == two.input for one, two in zip(first, second, strict=True)] == [True, False, True]
    assert first[0].output == second[0].output != 0
    assert first[1].output != second[1].output
    assert first[2].output == 0


def test_a_line_of_traces_marks_the_units_of_work() -> None:
    recording = draw(
        """
        trace |[one    ][two    ]
        main  | [get  ]  [get  ]
        get: GET http://api/a
        """
    )
    traces = assemble(recording)
    assert [(trace.start_ns, trace.end_ns) for trace in traces] == [(0, 90 * MS), (90 * MS, 180 * MS)]
    assert [[span.name for span in trace.spans] for trace in traces] == [["GET /a"], ["GET /a"]]


def test_runs_and_waits_make_a_task_of_an_event_loop() -> None:
    recording = draw(
        """
        a     |##...#
        b     |..#..
        """
    )
    task = next(each for each in recording.activities.values() if each.name == "a")
    assert task.kind == "task"
    assert [(step.start_ns, step.end_ns, step.resumed_ns) for step in recording.steps[task.id]] == [
        (0, 20 * MS, 50 * MS),
        (50 * MS, 60 * MS, 0),
    ]
    assert recording.activities[task.parent].name == "loop"


def test_source_below_the_drawing_is_written_for_the_places(tmp_path: Path) -> None:
    recording = draw("main |[get]\nget: GET http://api/a  at 2\n---\ndef work():\n    get()\n", tmp_path)
    site = recording.spans[0].site
    assert site is not None
    assert Path(site.file).read_text().splitlines()[site.line - 1].strip() == "get()"


@pytest.mark.parametrize("drawing", ["main |[get]", "what is this", "main |[get]\nget: FETCH http://api"])
def test_a_drawing_that_cannot_be_read_says_why(drawing: str) -> None:
    with pytest.raises(UsageError, match=r"declared|drawing|declaration"):
        draw(drawing)
