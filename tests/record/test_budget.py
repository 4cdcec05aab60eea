"""The recorder's budget: some traces have details, all are counted, none is half recorded."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.record.test_servers import ASK, UVICORN, WSGIREF

from microdelay.diagnose.comparison import compare
from microdelay.diagnose.diagnosis import diagnose
from microdelay.diagnose.whatif import Faster, what_if
from microdelay.record import budget
from microdelay.record.budget import Budget
from microdelay.report import data
from microdelay.spans import DB, SERVER, SLEEP, TRACE, Span
from microdelay.traces import Recording, Trace, assemble, read
from microdelay.traces.outlined import outlined

Execute = Callable[..., tuple[int, str, str]]
Program = Callable[..., Path]

COMMAND = Path(sys.executable).with_name("microdelay")
TIGHT = "0.000001"
"""A share of a core that no recording can keep to: soon only the first of each endpoint, and one in a thousand."""

SHOP = """
import asyncio, sqlite3
from concurrent.futures import ThreadPoolExecutor
from fastapi import FastAPI
app = FastAPI()
pool = ThreadPoolExecutor(2)
database = sqlite3.connect(":memory:", check_same_thread=False)
def look_up():
    return database.execute("select 1 + 1").fetchone()[0]
@app.get("/often/{number}")
async def often(number: int):
    async def part():
        await asyncio.sleep(0.0003)
        return number
    parts = await asyncio.gather(asyncio.create_task(part()), part())
    return [*parts, await asyncio.get_running_loop().run_in_executor(pool, look_up)]
@app.get("/rarely/{number}")
def rarely(number: int):
    def run(): time.sleep(0.0003)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return number
def asking():
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    for number in range(1600):
        connection.request("GET", f"/rarely/{number}" if number % 200 == 199 else f"/often/{number}")
        answer = connection.getresponse()
        print(answer.status, answer.read())
"""


def record(folder: Path, source: str, max_overhead: str) -> tuple[Recording, str]:
    (folder / "program.py").write_text(source)
    command = [str(COMMAND), "run", "--no-report", "--max-overhead", max_overhead, "-o", "made.mdr", "program.py"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60, text=True)
    return read(folder / "made.mdr"), done.stdout


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recording, str]:
    """Record a service under a tiny budget once, for several tests."""
    return record(tmp_path_factory.mktemp("shop"), ASK + UVICORN + SHOP + "serve(app, asking)", TIGHT)


def test_all_requests_are_counted_with_route_and_status(shop: tuple[Recording, str]) -> None:
    made, _ = shop
    spans = [span for span in made.spans if span.kind == SERVER] + [*made.outlines]
    told = Counter((span.name, span.attributes["http.response.status_code"]) for span in spans)
    assert told == {("GET /often/{number}", 200): 1592, ("GET /rarely/{number}", 200): 8}
    assert all(span.duration_ns > 0 for span in spans)
    assert 0 < len(made.outlines) < 1600
    facts = made.done["budget"]
    assert (facts["traces"], facts["detailed"]) == (1600, 1600 - len(made.outlines))


def test_what_has_details_has_all_of_them(shop: tuple[Recording, str]) -> None:
    made, _ = shop
    traces = assemble(made)
    assert len(traces) == 1600 - len(made.outlines)
    assert {trace.name for trace in traces} == {"GET /often/{number}", "GET /rarely/{number}"}
    for trace in traces:
        often = trace.name == "GET /often/{number}"
        assert (slept(trace), asked(trace)) == ((2, 1) if often else (1, 0)), trace
    inside = {span.id for trace in traces for span in trace.spans}
    assert not [span for span in made.spans if span.kind in (SLEEP, DB) and span.id not in inside and in_app(span)]


def slept(trace: Trace) -> int:
    return sum(span.kind == SLEEP and span.attributes["seconds"] > 0 for span in trace.spans)  # not a mere yield


def asked(trace: Trace) -> int:
    """Count queries; on a busy machine their fetches may be long enough to be spans, too."""
    return sum(span.kind == DB and span.attributes.get("part") != "fetch" for span in trace.spans)


def in_app(span: Span) -> bool:
    """Tell whether a span is of the application, not of what loads and stops the server."""
    inside = ("often.<locals>.part", "look_up", "rarely.<locals>.run")
    return span.site is not None and span.site.function in inside


def test_the_program_answers_as_it_would_alone(shop: tuple[Recording, str]) -> None:
    _, output = shop
    answered = [
        f"200 {str(number).encode()}" if number % 200 == 199 else f"200 {f'[{number},{number},2]'.encode()}"
        for number in range(1600)
    ]
    assert output.splitlines() == answered


def test_a_diagnosis_says_of_how_many_traces_there_are_details(shop: tuple[Recording, str]) -> None:
    made, _ = shop
    traces = assemble(made)
    others = outlined(made, traces)
    assert len(others) == len(made.outlines)
    found = diagnose(made, traces, [])
    assert found.count == 1600
    assert f"details of {len(traces):,} of 1,600 traces (0.0001 % overhead budget)" in found.warnings
    durations = sorted([*(trace.duration_ns for trace in traces), *(each.duration_ns for each in others)])
    assert durations[750] <= found.duration.p50 <= durations[850]


def test_a_comparison_counts_traces_without_details(shop: tuple[Recording, str]) -> None:
    made, _ = shop
    slower = replace(made, outlines=replace(made.outlines, duration_ns=2 * made.outlines.duration_ns))
    before, after = (diagnose(side, assemble(side), []) for side in (made, slower))
    compared = compare(before, after)
    lost = sum(each.duration_ns for each in made.outlines) / 1600
    assert -compared.measured.expected == pytest.approx(lost, rel=1e-3)
    assert compared.measured.low <= compared.measured.expected <= compared.measured.high
    told = data.comparison(compared)
    assert told["traces"] == {"before": 1600, "after": 1600}
    assert told["detailed_traces"]["after"] == len(after.traces) < 1600


def test_what_if_counts_a_trace_for_those_that_have_no_details(shop: tuple[Recording, str]) -> None:
    made, _ = shop
    traces = assemble(made)
    found = what_if(made, traces, SLEEP, Faster(times=0.5))
    everyone = [*(trace.duration_ns for trace in traces), *(each.duration_ns for each in made.outlines)]
    assert found.count == 1600
    assert found.before.mean == int(sum(everyone) / 1600)
    assert found.after.mean < found.before.mean
    counts = {"GET /often/{number}": 1592, "GET /rarely/{number}": 8}
    detailed = Counter(trace.name for trace in traces)
    chosen = {span.id for span in found.spans}
    taken = sum(
        span.duration_ns * counts[trace.name] / detailed[trace.name]
        for trace in traces
        for span in trace.spans
        if span.id in chosen
    )
    assert found.span_ns == int(taken / 1600)


def test_a_whole_recording_has_details_of_all_requests(tmp_path: Path) -> None:
    source = (ASK + UVICORN + SHOP + "serve(app, asking)").replace("range(1600)", "range(700)")
    made, _ = record(tmp_path, source, "100%")
    assert len(made.outlines) == 0
    assert "budget" not in made.done
    assert len(assemble(made)) == 700


def test_requests_in_threads_of_flask_have_all_details_or_none(tmp_path: Path) -> None:
    source = """
import sqlite3
from flask import Flask
app = Flask(__name__)
def query():
    database = sqlite3.connect(":memory:")
    database.execute("select 1")
    database.close()
@app.get("/items/<int:number>")
def item(number):
    query()
    def work(): query()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return f"{number}" if number % 2 else (f"{number}" for _ in range(2))
def asking():
    for number in range(700): ask(f"/items/{number}")
"""
    made, output = record(tmp_path, ASK + WSGIREF + source + "serve(app, asking)", TIGHT)
    assert output == "".join(f"/items/{n} 200 {(str(n) if n % 2 else str(n) * 2).encode()}\n" for n in range(700))
    traces = assemble(made)
    assert len(traces) + len(made.outlines) == 700
    assert len(made.outlines) > 0
    assert {each.name for each in made.outlines} == {"GET /items/<int:number>"}
    for trace in traces:
        assert asked(trace) == 2
    inside = {span.id for trace in traces for span in trace.spans}
    assert not [span for span in made.spans if span.kind == DB and span.id not in inside]


def test_marks_inside_a_request_are_of_its_trace_and_threads_inherit(tmp_path: Path) -> None:
    source = """
import concurrent.futures, microdelay, time
@microdelay.trace(name="inner")
def inner(): time.sleep(0.0001)
@microdelay.trace(name="outer")
def outer(number):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(inner).result()
    if number % 100 == 0: raise ValueError(number)
def main():
    for number in range(900):
        try: outer(number)
        except ValueError as error: print(error)
main()
"""
    made, output = record(tmp_path, source, TIGHT)
    assert output == "".join(f"{n}\n" for n in range(0, 900, 100))
    traces = assemble(made)
    assert {trace.name for trace in traces} == {"outer"}
    assert {each.name for each in made.outlines} == {"outer"}
    assert len(traces) + len(made.outlines) == 900
    assert all(slept(trace) == 1 for trace in traces)
    assert len([span for span in made.spans if span.kind == SLEEP]) == len(traces)
    failed = [each for each in made.outlines if each.error == "ValueError"]
    assert len(failed) + len([span for span in made.spans if span.kind == TRACE and span.error]) == 9


def test_a_share_of_what_a_budget_outlines_is_sampled_like_the_rest(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        "import microdelay\n@microdelay.trace\ndef turn(): pass\nfor _ in range(4000): turn()\n"
    )
    options = ["--no-report", "--sample", "10%", "--max-overhead", TIGHT, "-o", "made.mdr"]
    subprocess.run([str(COMMAND), "run", *options, "program.py"], cwd=tmp_path, check=True, timeout=60)
    made = read(tmp_path / "made.mdr")
    sampling = made.done["sampling"]
    assert sampling["seen"] == 4000
    assert len(made.outlines) + len(assemble(made)) == sampling["sampled"] + sampling["slow"]
    assert 399 <= sampling["sampled"] <= 401


def load(made: Budget, rate: int, seconds: int, monkeypatch: pytest.MonkeyPatch, events: int = 50) -> list[float]:
    """Let a budget decide on a load, in two adjustments a second; give the share with details of each."""
    clock = made._since
    written = 0
    shares = []
    for _ in range(2 * seconds):
        chosen = sum(made.chooses(f"GET /{number % 7}") for number in range(rate // 2))
        written += chosen * events
        clock += 500_000_000
        monkeypatch.setattr(budget, "now", lambda at=clock: at)
        monkeypatch.setattr(made, "_had", lambda lasted: lasted)
        made.spent(0, written)
        shares.append(chosen / (rate // 2))
    return shares


def test_a_slow_service_is_recorded_wholly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_speed", lambda: 1.0)
    assert set(load(Budget(0.05, lambda: 0), 40, 10, monkeypatch)) == {1.0}


def test_a_busy_service_keeps_to_the_budget_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_speed", lambda: 1.0)
    made = Budget(0.05, lambda: 0)
    busy = load(made, 2000, 10, monkeypatch)
    assert busy[0] == pytest.approx(budget.FIRST / 1000, abs=0.05)
    cost = busy[-1] * 2000 * 50 * budget.EVENT_NS + (1 - busy[-1]) * 2000 * budget.OUTLINE_NS
    assert cost == pytest.approx(0.05 * 1e9, rel=0.25)
    assert load(made, 20, 10, monkeypatch)[-1] == 1.0


def test_each_endpoint_has_some_details_and_as_large_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "_speed", lambda: 1.0)
    made = Budget(0.05, lambda: 0)
    load(made, 4000, 20, monkeypatch)
    made._left = 40_000
    chosen = Counter(number % 4 for number in range(40_000) if made.chooses(f"GET /{number % 4}"))
    assert sum(chosen.values()) < 4_000
    assert max(chosen.values()) - min(chosen.values()) <= 5
    assert [made.chooses("GET /new") for _ in range(3)] == [True] * 3
