"""`microdelay whatif`: a faster call saves what the trace waited for it, and nothing where it waits for others."""

from __future__ import annotations

import json

import pytest

GATHERED = """
    import asyncio, sys

    async def slow():
        await asyncio.sleep(0.08)

    async def quick():
        await asyncio.sleep(0.03)

    async def handle():
        await asyncio.gather(slow(), quick())
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.to_thread(sum, range(10)))
            group.create_task(slow())

    async def main():
        for _ in range(4):
            await handle()

    asyncio.run(main())
"""

THREADS = """
    import sys, threading, urllib.request

    def get(url):
        with urllib.request.urlopen(url) as answer:
            answer.read()

    def handle(base):
        long = threading.Thread(target=get, args=(f"{base}/long?ms=120",))
        short = threading.Thread(target=get, args=(f"{base}/short?ms=40",))
        long.start(), short.start()
        get(f"{base}/first?ms=30")
        long.join(), short.join()
        get(f"{base}/last?ms=30")

    for _ in range(4):
        handle(sys.argv[1])
"""


@pytest.fixture(scope="module")
def threads(record_once, service):
    return record_once(THREADS, "threads", service)


@pytest.fixture(scope="module")
def gathered(record_once):
    return record_once(GATHERED, "gathered")


def asked(microdelay, *arguments):
    done = microdelay("whatif", *arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_call_that_the_trace_waits_for_saves_what_it_takes_less(microdelay, threads):
    found = asked(microdelay, threads, "--span", "GET /last", "--faster", "20ms")
    assert found["schema"] == "microdelay.whatif/1"
    assert found["count"] >= found["traces"] == 4  # where a body is waited for it is a span of its own
    less = found["less_ns"]
    assert less >= 20e6
    assert found["saving_ns"]["expected"] == pytest.approx(less, rel=0.05)
    assert found["saving_ns"]["low"] <= found["saving_ns"]["expected"] <= found["saving_ns"]["high"]
    before, after = found["before_ns"], found["after_ns"]
    assert before["mean"] - after["mean"] == pytest.approx(less, rel=0.05)
    assert before["p50"] > after["p50"]
    assert before["p95"] > after["p95"]


@pytest.mark.parametrize("name", ["GET /short", "GET /first"])
def test_call_beside_a_longer_one_saves_nothing_and_it_is_said_what_is_waited_for(microdelay, threads, name):
    found = asked(microdelay, threads, "--span", name, "--times", "0.5")
    assert found["less_ns"] > 10_000_000
    assert found["saving_ns"]["expected"] < 0.05 * found["less_ns"]
    assert "saves nothing" in found["why"]
    assert "GET /long" in found["why"]


def test_longest_of_joined_calls_saves_until_the_next_one_is_waited_for(microdelay, threads):
    found = asked(microdelay, threads, "--span", "GET /long", "--times", "0")
    # From 120 ms to the 40 ms of the other thread, or as much longer as these took on a busy machine.
    assert 0.3 * found["less_ns"] < found["saving_ns"]["expected"] < 0.9 * found["less_ns"]


def test_calls_that_are_gathered_or_in_a_group(microdelay, gathered):
    every = asked(microdelay, gathered, "--span", "sleep", "--times", "0.5")
    # Of 80 and 30 ms together the 80 are waited for, and the 80 after them: 160 of 190.
    assert every["less_ns"] >= (80 + 30 + 80) / 2 * 1e6
    assert every["saving_ns"]["expected"] == pytest.approx(160 / 190 * every["less_ns"], rel=0.1)


def test_pattern_and_kind_name_the_same_spans(microdelay, threads):
    counts = {asked(microdelay, threads, "--span", name, "--times", "1")["count"] for name in ("http", "get /*", "GET")}
    assert len(counts) == 1
    assert min(counts) >= 16


def test_nothing_faster_saves_nothing(microdelay, threads):
    found = asked(microdelay, threads, "--span", "http", "--times", "1")
    assert found["saving_ns"] == {"low": 0, "expected": 0, "high": 0}
    assert found["before_ns"] == found["after_ns"]


def test_text_says_what_is_saved_and_why(microdelay, threads):
    said = microdelay("whatif", threads, "--span", "GET /short", "--faster", "10ms").stdout
    assert "what if GET /short took 10.0 ms less?" in said
    assert "not on the critical path" in said
    assert "GET /long" in said


def test_unknown_name_is_one_line_with_those_that_are_near(microdelay, threads):
    done = microdelay("whatif", threads, "--span", "GET /lst", "--faster", "1ms")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "'GET /last'" in done.stderr


@pytest.mark.parametrize("wrong", [("--faster", "soon"), ("--times", "2"), ("--times", "nan"), ("--faster", "0ms"), ()])
def test_what_is_no_length_of_time_is_refused(microdelay, threads, wrong):
    assert microdelay("whatif", threads, "--span", "http", *wrong).returncode == 2
