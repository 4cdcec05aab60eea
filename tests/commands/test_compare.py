"""`microdelay compare`: predicted beside measured."""

from __future__ import annotations

import pytest

# Since 3.12 the opener loads certificates, which the first call would make it do.
SLOW = """
    import json, sys, urllib.request; urllib.request.install_opener(urllib.request.build_opener())
    from microdelay import fan_out

    def get(url):
        with urllib.request.urlopen(url) as answer:
            return json.loads(answer.read())

    def handle(base, number):
        one = get(f"{base}/one?user={number}&ms=150")
        two = get(f"{base}/two?user={number}&ms=120")
        return one, two

    for number in range(6):
        handle(sys.argv[1], number)
"""

FIXED = SLOW.replace(
    """        one = get(f"{base}/one?user={number}&ms=150")
        two = get(f"{base}/two?user={number}&ms=120")
""",
    """        one, two = fan_out([
            lambda: get(f"{base}/one?user={number}&ms=150"),
            lambda: get(f"{base}/two?user={number}&ms=120"),
        ])
""",
)


@pytest.fixture(scope="module")
def recordings(record_once, service):
    """Recordings of both, whose calls take so long that what a busy machine adds to one of them is little."""
    return record_once(SLOW, "slow", service), record_once(FIXED, "fixed", service)


def test_predicted_stands_beside_measured(report, recordings):
    found = report("compare", *recordings)
    assert found["schema"] == "microdelay.comparison/1"
    assert found["traces"] == {"before": 6, "after": 6}
    for side in ("before_ns", "after_ns", "predicted_ns"):
        assert set(found[side]) == {"p50", "p95", "mean"}
    assert found["after_ns"]["p50"] < found["before_ns"]["p50"]
    measured = found["saving_ns"]["measured"]
    assert 0 < measured["low"] <= measured["expected"] <= measured["high"]
    [finding] = [each for each in found["findings"] if each["rule"] == "serial-calls"]
    assert finding["status"] == "gone"
    assert finding["measured_ns"]["low"] > 0
    # urllib connects for each call, before and after: whether that is worth a line depends on the machine.
    assert not [each for each in found["new"] if each["rule"] != "new-connection-per-call"]
    assert not [each for each in found["slower"] if each["kind"] == "http"]


def test_what_got_worse_is_said(microdelay, report, recordings):
    slow, fixed = recordings
    found = report("compare", fixed, slow)
    assert found["saving_ns"]["measured"]["expected"] < 0
    assert {finding["rule"] for finding in found["new"]} - {"new-connection-per-call"} == {"serial-calls"}
    text = microdelay("compare", fixed, slow, cwd=slow.parent).stdout
    assert "new: serial-calls at slow.py:10" in text


def test_nothing_changed(report, recordings):
    slow, _ = recordings
    found = report("compare", slow, slow)
    assert found["saving_ns"]["measured"]["expected"] == 0
    assert {finding["status"] for finding in found["findings"]} == {"same"}


def test_text_has_the_three_rows(microdelay, recordings):
    text = microdelay("compare", *recordings).stdout
    rows = [line.split()[0] for line in text.splitlines() if line.count(" ms  ") >= 2]
    assert rows == ["before", "predicted", "measured"]
    assert "The measured median is" in text


def test_a_recording_compared_with_itself_is_the_same(microdelay, report, program, service):
    two_loops = """
        import sys, urllib.request

        def get(url):
            urllib.request.urlopen(url).read()

        def handle(base, number):
            for part in range(3):
                get(f"{base}/one?user={number}&part={part}&ms=10")
            print("between")
            for part in range(4, 8):
                get(f"{base}/one?user={number}&part={part}&ms=20")

        for number in range(4):
            handle(sys.argv[1], number)
    """
    assert microdelay("run", "--no-report", "-o", "one.mdr", program(two_loops), service).returncode == 0
    found = report("compare", "one.mdr", "one.mdr")
    assert {each["status"] for each in found["findings"]} == {"same"}
    assert len(found["findings"]) > 1
