"""`microdelay coverage`: every nanosecond in an account."""

from __future__ import annotations

from pathlib import Path

import pytest

MIXED = """
    import json, sys, time, urllib.request

    def get(url):
        with urllib.request.urlopen(url) as answer:
            return json.loads(answer.read())

    def burn(until):
        while time.process_time() < until:
            sum(range(1000))

    def handle(base, number):
        get(f"{base}/one?user={number}&ms=30")
        burn(time.process_time() + 0.06)
        time.sleep(0.02)

    for number in range(4):
        handle(sys.argv[1], number)
"""


@pytest.fixture(scope="module")
def recording(record_once, service):
    """A recording of four traces that wait, compute and pause."""
    return record_once(MIXED, "program", service)


def test_accounts_add_up_to_the_length_of_the_traces(report, recording):
    found = report("coverage", recording)
    assert found["schema"] == "microdelay.coverage/1"
    assert found["traces"] == 4
    assert sum(found["accounts_ns"].values()) == found["total_ns"]
    assert found["accounts_ns"]["http"] >= 4 * 25_000_000
    assert found["accounts_ns"]["sleep"] >= 4 * 19_000_000
    assert found["unexplained_share"] == found["accounts_ns"].get("unexplained", 0) / found["total_ns"]
    assert found["complete"]
    assert found["sampler"]["looks"] > 0
    assert found["dropped"] == 0


def test_processor_time_is_at_the_line_that_computes(report, recording):
    found = report("coverage", recording)
    assert found["accounts_ns"]["cpu: yours"] >= 4 * 40_000_000
    busiest = found["cpu"][0]
    assert (busiest["file"], busiest["function"]) == (str(recording.with_suffix(".py")), "burn")
    assert busiest["package"] == ""
    assert all(place["ns"] for place in found["cpu"])


def test_text_names_the_accounts_the_probes_and_what_sampling_took(microdelay, recording):
    done = microdelay("coverage", recording)
    assert done.returncode == 0, done.stderr
    for part in ("http", "unexplained", "100.0 %", "program.py", "http", "of a core", "0 events"):
        assert part in done.stdout


def test_every_name_of_the_json_report_is_documented(report, recording, request):
    page = (request.config.rootpath / "docs" / "formats.md").read_text()
    found = report("coverage", recording)
    for name in (*found, *found["sampler"], *found["cpu"][0]):
        assert f"`{name}`" in page, name


def test_a_file_that_is_none_is_one_line_and_status_2(microdelay, tmp_path):
    (tmp_path / "notes.txt").write_text("no recording")
    for file in ("notes.txt", "missing.mdr"):
        done = microdelay("coverage", file)
        assert done.returncode == 2
        assert done.stdout == ""
        assert len(done.stderr.splitlines()) == 1


def test_without_the_sampler_the_processor_has_no_lines(microdelay, report, program, service):
    program(MIXED)
    microdelay("run", "--no-report", "--no-sampler", "-o", "plain.mdr", "program.py", service)
    found = report("coverage", "plain.mdr")
    assert found["sampler"] == {}
    assert found["cpu"] == []
    assert found["accounts_ns"]["cpu"] >= 4 * 40_000_000


def test_starved_thread_waits_for_the_gil(microdelay, report, program):
    program("""
        import threading, time

        def burn(seconds):
            until = time.thread_time() + seconds
            while time.thread_time() < until:
                sum(range(300))

        def handle():
            burn(0.2)
            time.sleep(0.01)

        for _ in range(2):
            threading.Thread(target=burn, args=(20,), daemon=True).start()
        for _ in range(2):
            handle()
    """)
    microdelay("run", "--no-report", "-o", "starved.mdr", "program.py")
    found = report("coverage", "starved.mdr", "--trace-root", "program:handle")
    assert found["accounts_ns"]["waiting for the GIL"] >= 100_000_000
    assert {(place["function"], place["package"]) for place in found["cpu"]} == {("burn", "")}
    assert len(found["cpu"]) <= 2


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not count it")
def test_starved_process_waits_for_a_core(microdelay, report, program):
    program("""
        import os, signal, time

        def burn(seconds):
            until = time.process_time() + seconds
            while time.process_time() < until:
                sum(range(300))

        others = []
        for _ in range(3 * os.cpu_count()):
            child = os.fork()
            if not child:
                burn(60)
                os._exit(0)
            others.append(child)

        def handle():
            burn(0.2)
            time.sleep(0.01)

        for _ in range(2):
            handle()
        for child in others:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    """)
    microdelay("run", "--no-report", "--no-follow", "--trace-root", "program:handle", "-o", "starved.mdr", "program.py")
    found = report("coverage", "--trace-root", "program:handle", "starved.mdr")
    assert found["accounts_ns"]["waiting for a core"] > found["accounts_ns"]["cpu: yours"]
