"""`microdelay run` and `diagnose`: from a program to what is said about it."""

from __future__ import annotations

import json

import pytest

SERIAL = """
    import json, sys, urllib.request

    def get(url):
        with urllib.request.urlopen(url) as answer:
            return json.loads(answer.read())

    def handle(base, number):
        one = get(f"{base}/one?user={number}&ms=30")
        two = get(f"{base}/two?user={number}&ms=20")
        three = get(f"{base}/three?user={number}&ms=25")
        return one, two, three

    for number in range(5):
        handle(sys.argv[1], number)
    print("done")
"""


@pytest.fixture(scope="module")
def recording(record_once, service):
    """A recording of five traces with three independent calls each."""
    return record_once(SERIAL, "program", service)


def test_json_has_the_documented_names(report, recording):
    found = report("diagnose", recording)
    assert found["schema"] == "microdelay.diagnosis/1"
    assert found["traces"] == 5
    assert found["trace_names"] == ["handle"]
    assert set(found["duration_ns"]) == set(found["predicted_ns"]) == {"p50", "p95", "mean"}
    assert 0 < found["predicted_ns"]["p50"] < found["duration_ns"]["p50"]
    assert found["fidelity"]["worst"] < 0.05
    assert 0 <= found["unexplained_share"] < 1
    assert found["coverage"]["complete"]
    assert "http.client" in found["coverage"]["probes"]


def test_finding_names_the_place_the_evidence_and_the_saving(report, recording):
    [finding] = report("diagnose", "--only", "serial-calls", recording)["findings"]
    assert finding["rule"] == "serial-calls"
    assert finding["where"] == {"file": str(recording.with_suffix(".py")), "line": 9, "function": "handle"}
    assert [place["line"] for place in finding["places"]] == [9, 10, 11]
    assert finding["dependence"]["verdict"] == "independent"
    assert finding["dependence"]["evidence"]
    assert finding["count"] == 15
    saving = finding["saving_ns"]
    # Three calls of 30, 20 and 25 ms take as long as the longest.
    assert 35e6 < saving["low"] <= saving["expected"] <= saving["high"]
    assert "one, two, three = fan_out([" in finding["snippet"]
    assert finding["remedy"] == "fan_out"


def test_same_recording_gives_the_same_diagnosis(report, recording):
    assert report("diagnose", recording) == report("diagnose", recording)


def test_only_and_ignore_choose_the_rules(report, recording):
    assert report("diagnose", "--only", "n-plus-one", recording)["rules"] == ["n-plus-one"]
    ignoring = report("diagnose", "--ignore", "serial-calls", recording)
    assert "serial-calls" not in ignoring["rules"]
    assert not [finding for finding in ignoring["findings"] if finding["rule"] == "serial-calls"]


def test_price_follows_the_fleet(report, recording):
    options = ["--agents", "10", "--runs-per-day", "3600", "--cost-per-hour", "2"]
    found = report("diagnose", *options, recording)
    hours = found["saving_ns"]["expected"] * 10 / 1e9
    assert found["price"]["hours_per_day"] == pytest.approx(hours)
    assert found["price"]["cost_per_day"] == pytest.approx(2 * hours)


def test_default_fleet_is_said(microdelay, recording):
    text = microdelay("diagnose", recording).stdout
    assert "At 100 agents with 1,000 runs a day each" in text
    assert "at 0.05 an hour" in text


def test_text_is_plain_when_piped(microdelay, recording):
    text = microdelay("diagnose", recording).stdout
    assert "\x1b" not in text
    assert "program.py:9 in handle" in text
    assert max(map(len, text.splitlines())) <= 120
    assert "Replayed unchanged" in text
    assert "Unexplained" in text


def test_trace_root_is_taken_from_the_command(report, recording):
    assert report("diagnose", "--trace-root", "program:get", recording)["traces"] == 15


def test_program_without_a_unit_of_work_is_one_trace(microdelay, report, program):
    program("import time\ntime.sleep(0.02)\ntime.sleep(0.01)\n")
    microdelay("run", "--no-report", "-o", "a.mdr", "program.py")
    found = report("diagnose", "a.mdr")
    assert (found["traces"], found["trace_names"]) == (1, ["program.py"])


def test_run_prints_the_report_on_standard_error_only(microdelay, program, service, tmp_path):
    program(SERIAL)
    done = microdelay("run", "program.py", service)
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "5 traces of handle" in done.stderr
    assert [path.name[:8] for path in tmp_path.glob("*.mdr")] == ["program-"]


def test_run_diagnoses_although_the_program_changed_its_surroundings(microdelay, program, service):
    program(SERIAL + "    import os\n    os.chdir('/')\n    os.environ['PYTHONPATH'] = '/nowhere'\n")
    done = microdelay("run", "-o", "a.mdr", "program.py", service)
    assert "5 traces of handle" in done.stderr


def test_rules_are_listed(microdelay):
    listed = json.loads(microdelay("rules", "--format", "json").stdout)
    names = [each["rule"] for each in listed]
    assert names == sorted(names)
    assert {"serial-calls", "n-plus-one", "repeated-call", "chatty-logging", "blocked-loop"} <= set(names)
    text = microdelay("rules").stdout
    for each in listed:
        assert each["rule"] in text
        assert each["remedy"]


def test_help_lists_every_command(microdelay):
    text = microdelay("--help").stdout
    for verb in ("run", "diagnose", "compare", "rules"):
        assert f"  {verb} " in text
        assert microdelay(verb, "--help").returncode == 0


def test_reader_that_goes_away_is_no_error(microdelay, recording, tmp_path):
    import subprocess
    import sys

    command = f"{sys.executable} -m microdelay diagnose {recording} | head -1"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == ""


def test_report_is_kept_as_json_beside_the_text(microdelay, report, recording, tmp_path):
    done = microdelay("diagnose", "--json", "kept.json", recording)
    assert "5 traces of handle" in done.stdout
    assert json.loads((tmp_path / "kept.json").read_text()) == report("diagnose", recording)
    refused = microdelay("diagnose", "--json", "nowhere/kept.json", recording)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
