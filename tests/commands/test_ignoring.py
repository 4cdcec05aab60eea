"""Findings that are left out of a report: too small, or decided about."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

from microdelay.__main__ import main

# Since 3.12 the opener loads certificates, which the first call would make it do.
PROGRAM = """
    import sys, urllib.request; urllib.request.install_opener(urllib.request.build_opener())

    def get(url):
        with urllib.request.urlopen(url) as answer:
            return answer.read()

    def handle(base, number):
        one = get(f"{base}/one?user={number}&ms=30")
        two = get(f"{base}/two?user={number}&ms=20")
        for _ in range(3):
            get(f"{base}/same?ms=5")
        return one, two

    def nightly(base, number):
        # a second way
        one = get(f"{base}/three?user={number}&ms=12")
        return one, get(f"{base}/four?user={number}&ms=11")  # microdelay: ignore[chatty-metrics] not found here

    def work(base, number):
        return handle(base, number), nightly(base, number)

    for number in range(5):
        work(sys.argv[1], number)
"""


@pytest.fixture(scope="module")
def recording(record_once, service):
    """A recording with several findings."""
    return record_once(PROGRAM, "program", service)


@pytest.fixture
def diagnosis(recording, tmp_path, monkeypatch):
    """Run `diagnose` in this process, in a folder whose `microdelay.toml` says this, and give the JSON."""

    def run(*arguments, entries=""):
        (tmp_path / "microdelay.toml").write_text(entries)
        monkeypatch.chdir(tmp_path)
        written = io.StringIO()
        with contextlib.redirect_stdout(written):
            assert main(["diagnose", "--format", "json", *arguments, str(recording)]) == 0
        return json.loads(written.getvalue())

    return run


def rules_of(findings):
    return sorted(each["rule"] for each in findings)


def test_a_finding_is_ignored_by_its_id_and_saves_nothing_in_the_sum(diagnosis):
    whole = diagnosis()
    first = whole["findings"][0]
    less = diagnosis(entries=f'[[ignore]]\nfinding = "{first["id"]}"\nreason = "as agreed"\n')
    assert first["id"] not in [each["id"] for each in less["findings"]]
    [ignored] = less["ignored"]
    assert (ignored["id"], ignored["reason"]) == (first["id"], "as agreed")
    assert ignored["ignored_by"] == "microdelay.toml, entry 1"
    assert less["saving_ns"]["expected"] < whole["saving_ns"]["expected"]
    assert first["rule"] not in less["passed"]


def test_an_entry_fits_by_rule_file_and_function_together(diagnosis):
    def ignored(**keys):
        told = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
        return rules_of(diagnosis(entries=f'[[ignore]]\n{told}reason = "so"\n')["ignored"])

    assert len(ignored(file="program.py")) > 1
    assert ignored(file="other.py") == []
    assert ignored(rule="repeated-call") == ["repeated-call"]
    assert ignored(rule="repeated-call", function="nightly") == []


def test_an_entry_that_fits_nothing_is_said_if_its_rule_ran(diagnosis):
    entries = '[[ignore]]\nrule = "gc-pause"\nreason = "was slow"\n'
    said = [each for each in diagnosis(entries=entries)["coverage"]["warnings"] if "ignores nothing" in each]
    assert "microdelay.toml, entry 1 ignores nothing any more: gc-pause (was slow)" in said
    said = diagnosis("--only", "repeated-call", entries=entries)["coverage"]["warnings"]
    assert not [each for each in said if "ignores nothing" in each]


def test_a_comment_that_fits_nothing_is_said(diagnosis, recording):
    said = [each for each in diagnosis()["coverage"]["warnings"] if "ignores nothing" in each]
    file = recording.with_suffix(".py")
    assert said == [f"{file}:18 ignores nothing any more: chatty-metrics (not found here)"]


def test_a_list_that_is_not_as_it_should_be_is_refused_in_one_line(microdelay, recording, tmp_path):
    (tmp_path / "microdelay.toml").write_text('[[ignore]]\nrule = "gc-pause"\n')
    done = microdelay("diagnose", recording)
    assert done.returncode != 0
    [line] = done.stderr.splitlines()
    assert line == ('microdelay: microdelay.toml, entry 1: gives no reason; add: reason = "why this stays as it is"')


def test_a_missing_list_is_refused_only_if_it_was_asked_for(microdelay, recording):
    assert microdelay("diagnose", recording).returncode == 0
    done = microdelay("diagnose", "--ignore-file", "nowhere.toml", recording)
    assert done.stderr.strip() == "microdelay: cannot read nowhere.toml: No such file or directory"


def test_a_comment_at_the_line_ignores_also_if_it_was_written_after_the_recording(
    microdelay, service, program, tmp_path
):
    path = program(PROGRAM)
    recording = tmp_path / "own.mdr"
    done = microdelay("run", "--no-report", "-o", recording, path, service)
    assert done.returncode == 0, done.stderr

    def diagnosed():
        done = microdelay("diagnose", "--format", "json", recording)
        return json.loads(done.stdout) if not done.returncode else done.stderr

    [repeated] = [each for each in diagnosed()["findings"] if each["rule"] == "repeated-call"]
    lines = path.read_text().splitlines()
    line = repeated["where"]["line"] - 1
    plain = lines[line]

    def written(comment):
        path.write_text("\n".join([*lines[:line], plain + comment, *lines[line + 1 :]]) + "\n")

    written("  # microdelay: ignore[repeated-call, gc-pause] it changes each time")
    [ignored] = diagnosed()["ignored"]
    assert (ignored["rule"], ignored["reason"]) == ("repeated-call", "it changes each time")
    assert ignored["ignored_by"] == f"{path}:{line + 1}"
    written("  # microdelay: ignore[repeated-call]")
    assert diagnosed().count("gives no reason; write it behind the bracket") == 1
    written("  # just a remark")
    assert diagnosed()["ignored"] == []


def test_a_recording_keeps_the_comments_that_are_meant_for_the_diagnosis(microdelay, service, program, tmp_path):
    path = program(PROGRAM.replace('/same?ms=5")', '/same?ms=5")  # microdelay: ignore[repeated-call] kept'))
    recording = tmp_path / "own.mdr"
    assert microdelay("run", "--no-report", "-o", recording, path, service).returncode == 0
    path.unlink()
    [ignored] = json.loads(microdelay("diagnose", "--format", "json", recording).stdout)["ignored"]
    assert (ignored["rule"], ignored["reason"]) == ("repeated-call", "kept")
    assert b"a second way" not in recording.read_bytes()


def test_what_is_ignored_is_counted_and_listed_on_request(microdelay, recording, tmp_path):
    (tmp_path / "microdelay.toml").write_text('[[ignore]]\nrule = "repeated-call"\nreason = "prices move"\n')
    assert "1 ignored: --show-ignored" in microdelay("diagnose", recording).stdout
    shown = microdelay("diagnose", "--show-ignored", recording).stdout
    assert "1 ignored:\n" in shown
    assert "prices move (microdelay.toml, entry 1)" in shown


def test_what_saves_too_little_is_left_out_and_counted(diagnosis):
    whole = diagnosis()
    savings = sorted(each["saving_ns"]["expected"] for each in whole["findings"])
    assert len(savings) > 1
    bound = savings[-1] // 1000
    most = diagnosis("--min-saving", f"{bound}us")
    assert [each["saving_ns"]["expected"] for each in most["findings"]] == [savings[-1]]
    assert most["below_min_saving"] == len(savings) - 1
    share = savings[-1] / whole["duration_ns"]["mean"]
    assert diagnosis("--min-saving", f"{100 * share + 1:.0f}%")["findings"] == []
    assert diagnosis("--min-saving", "0ms")["below_min_saving"] == 0


def test_a_least_saving_that_is_none_is_refused(microdelay, recording):
    done = microdelay("diagnose", "--min-saving", "5", recording)
    assert done.returncode != 0
    assert "no time such as 5ms, 0.2s or 300us, and no share such as 2%" in done.stderr


def test_run_hands_its_report_what_is_to_be_left_out(microdelay, service, program, tmp_path):
    (tmp_path / "mine.toml").write_text('[[ignore]]\nrule = "repeated-call"\nreason = "prices move"\n')
    options = ["--ignore-file", "mine.toml", "--min-saving", "90%", "--show-ignored"]
    done = microdelay("run", "-o", "own.mdr", *options, program(PROGRAM), service)
    assert "prices move" in done.stdout + done.stderr
    assert "below --min-saving" in done.stdout + done.stderr


def test_a_bad_list_is_refused_before_the_program_runs(microdelay, program, tmp_path):
    (tmp_path / "microdelay.toml").write_text('[[ignore]]\nrule = "repeated-call"\n')
    done = microdelay("run", program("print('ran')"))
    assert "gives no reason" in done.stderr
    assert "ran" not in done.stdout


def test_the_same_recording_gives_the_same_bytes(microdelay, recording, monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    first = microdelay("diagnose", "--format", "json", recording).stdout
    monkeypatch.setenv("PYTHONHASHSEED", "271828")
    assert first == microdelay("diagnose", "--format", "json", recording).stdout
    assert json.loads(first)["findings"]
