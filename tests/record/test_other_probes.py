"""The probes of the standard library: pauses, SQLite, logging, JSON, and spans by hand."""

from __future__ import annotations

from collections.abc import Callable

from microdelay.spans import CODEC, DB
from microdelay.traces import Recording

Record = Callable[..., Recording]


def test_pauses(recording: Record) -> None:
    made = recording("import asyncio, time\ntime.sleep(0.01)\nasyncio.run(asyncio.sleep(0.01))\n")
    first, second = (span for span in made.spans if span.kind == "sleep")
    assert (first.name, first.attributes) == ("time.sleep", {"seconds": 0.01})
    assert (second.name, second.attributes) == ("asyncio.sleep", {"seconds": 0.01})
    assert min(first.duration_ns, second.duration_ns) >= 9_000_000
    assert 0 <= first.cpu_ns < first.duration_ns


def test_statements_rows_and_commits(recording: Record) -> None:
    made = recording(
        """
        import sqlite3
        with sqlite3.connect("file.db") as database:
            database.execute("create table t (a, b)")
            database.executemany("insert into t values (?, ?)", [(n, str(n)) for n in range(20_000)])
        cursor = database.cursor()
        cursor.execute("select a from t where b = ?", ("17",))
        cursor.fetchall()
        database.row_factory = sqlite3.Row
        row = database.execute("select 'row-value-9' as v").fetchone()
        try:
            database.execute("select * from missing where x = 'y'")
        except sqlite3.OperationalError:
            pass
        """
    )
    statements = [span for span in made.spans if span.kind == "db" and "part" not in span.attributes]
    assert [span.name for span in statements] == [
        "CREATE t", "INSERT t", "COMMIT", "SELECT t", "SELECT", "SELECT missing",
    ]  # fmt: skip
    assert {span.attributes["db.system.name"] for span in statements} == {"sqlite"}
    assert statements[1].attributes["db.operation.batch.size"] == 20_000
    assert statements[-1].attributes["db.query.text"] == "select * from missing where x = ?"
    assert statements[-1].error == "OperationalError"
    assert {span.site.function for span in statements if span.site} == {"<module>"}


def test_a_slow_search_is_seen_while_rows_are_fetched(recording: Record) -> None:
    made = recording(
        """
        import sqlite3
        database = sqlite3.connect(":memory:")
        numbers = "with recursive n(i) as (select 1 union all select i + 1 from n limit 200000)"
        database.execute(f"create table t as {numbers} select i from n")
        for row in database.execute("select i from t where i % 100000 = 0"): pass
        rows = database.execute("select i from t where i = ?", (1,)).fetchmany(10)
        """
    )
    fetched = [span for span in made.spans if span.attributes.get("part") == "fetch"]
    assert {span.site.line for span in fetched if span.site} == {6, 7}
    assert all(span.attributes["db.query.text"].startswith("select i from t") for span in fetched)


def test_rows_that_are_used_in_the_next_statement_show_as_flow(recording: Record) -> None:
    made = recording(
        """
        import sqlite3
        database = sqlite3.connect(":memory:")
        database.row_factory = sqlite3.Row
        def slow(value):
            for _ in range(20_000): pass
            return value
        database.create_function("slow", 1, slow)
        key = database.execute("select slow('key-of-user-5') as k").fetchone()["k"]
        database.execute("select slow(?)", (key,)).fetchone()
        database.execute("select slow(?)", ("something-else",)).fetchone()
        """
    )
    received = frozenset[int]().union(*(span.received for span in made.spans if span.site and span.site.line == 9))
    statements = [span for span in made.spans if span.kind == DB and "part" not in span.attributes]
    sent = [span.sent for span in statements if span.attributes["db.query.text"] == "select slow(?)"]
    assert [bool(received & each) for each in sent] == [True, False]


def test_equal_statements_have_equal_fingerprints(recording: Record) -> None:
    made = recording(
        """
        import datetime, sqlite3
        database = sqlite3.connect(":memory:")
        class Odd:
            def __conform__(self, protocol): return 1
            def __repr__(self): raise SystemExit("the recorder ran the program's code")
        for value in ("a", "a", "b", 1.5, datetime.date(2026, 1, 1).isoformat(), Odd(), Odd()):
            database.execute("select ?", (value,))
        """
    )
    inputs = [span.input for span in made.spans if span.kind == "db"]
    assert len(inputs) == 7
    assert inputs[0] == inputs[1]
    assert len(set(inputs)) == 6


def test_a_statement_that_is_sent_again_and_again_tells_its_parameters_apart(recording: Record) -> None:
    made = recording(
        """
        import sqlite3
        first, second = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
        for value in [*range(250), 0]:
            first.execute("select ?", (value,)).fetchone()
        second.execute("select ?", (0,))
        """
    )
    spans = [span for span in made.spans if span.kind == "db" and "part" not in span.attributes]
    assert len(spans) == 252
    assert spans[250].input == spans[0].input == spans[251].input
    assert len({span.input for span in spans}) == 250
    assert [span.attributes["db.query.text"] for span in spans] == ["select ?"] * 252
    assert len({span.attributes["connection"] for span in spans[:251]}) == 1
    assert spans[251].attributes["connection"] != spans[0].attributes["connection"]


def test_a_handler_that_waits_is_a_span_around_what_it_calls(recording: Record) -> None:
    made = recording(
        """
        import logging, os, requests
        class Remote(logging.Handler):
            def emit(self, record):
                requests.post(os.environ["SERVICE"] + "/logs", data=self.format(record))
        logger = logging.getLogger("shop")
        logger.addHandler(Remote())
        logger.addHandler(logging.NullHandler())
        def work(): logger.error("text")
        work()
        """
    )
    (log,) = [span for span in made.spans if span.kind == "log"]
    assert log.attributes == {"handler": "__main__.Remote", "logger": "shop", "level": "ERROR"}
    assert log.site is not None
    assert log.site.function == "work"
    (inside,) = [span for span in made.spans if span.kind == "http"]
    assert made.parents[inside.id] == log.id


def test_json_is_seen_from_a_size_on(recording: Record) -> None:
    made = recording(
        """
        import json
        for _ in range(100): json.loads(json.dumps({"a": 1}))
        json.loads(json.dumps(list(range(200_000))))
        """
    )
    seen = [span for span in made.spans if span.kind == CODEC and span.site]
    large = [span for span in seen if span.site and span.site.line == 4]
    assert [span.name for span in large] == ["json.dumps", "json.loads"]
    assert large[0].attributes == {"size": 1_488_890}
    assert len(seen) < 50  # a busy machine makes one of the small ones long now and then


def test_spans_by_hand(recording: Record) -> None:
    made = recording(
        """
        import asyncio, microdelay, time
        with microdelay.span("block", size=3, share=0.5, name_="x", fast=True) as block:
            time.sleep(0.001)
        async def main():
            with microdelay.span("in a task"): await asyncio.sleep(0.001)
        asyncio.run(main())
        try:
            with microdelay.span("failing"): raise KeyError
        except KeyError: pass
        """
    )
    block, pause, in_task, _, failing = (span for span in made.spans if span.kind in ("internal", "sleep"))
    assert (block.name, block.attributes) == ("block", {"size": 3, "share": 0.5, "name_": "x", "fast": True})
    assert made.parents[pause.id] == block.id
    assert in_task.name == "in a task"
    assert (failing.name, failing.error) == ("failing", "KeyError")


def test_without_a_recording_the_same_names_do_nothing(
    plainly: Callable[..., tuple[int, str, str]], tmp_path: object
) -> None:
    source = (
        "import microdelay\n"
        "@microdelay.trace\n"
        "def f(x): return x\n"
        "with microdelay.span('x'): print(f(1), f.__name__, microdelay.stop() == '')\n"
    )
    assert plainly("-c", source) == (0, "1 f True\n", "")
