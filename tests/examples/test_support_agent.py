"""The example agents: the same with and without the recorder, and what the diagnosis must say about each."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

AGENTS = Path(__file__).resolve().parents[2] / "examples" / "support_agent"
RUNS = 4


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The example's world in its own process, and a database of the test's own; gives the environment to run in."""
    port_file = tmp_path_factory.mktemp("world") / "port"
    command = [sys.executable, str(AGENTS / "world.py"), "--port-file", str(port_file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield os.environ | {"SUPPORT_WORLD": address(port_file)}
        process.terminate()


def address(port_file: Path) -> str:
    """Read what the world wrote once it listened."""
    text = port_file.read_text().strip()
    return text if text.startswith("http") else f"http://127.0.0.1:{text}"


def ask(world: dict[str, str], path: str, method: str = "GET") -> object:
    request = urllib.request.Request(world["SUPPORT_WORLD"] + path, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"null")


def run(world: dict[str, str], *command: str) -> tuple[subprocess.CompletedProcess[str], list[dict[str, object]]]:
    """Run an agent and give what it printed and the log records that arrived, without their times."""
    ask(world, "/reset", "POST")
    done = subprocess.run(
        [sys.executable, *command, "--runs", str(RUNS)],
        env=world,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    records = ask(world, "/logs/records")
    assert isinstance(records, list)
    return done, sorted(({k: v for k, v in each.items() if k != "time"} for each in records), key=str)


@pytest.fixture(scope="module")
def recorded(world, tmp_path_factory):
    """Run each agent under the recorder once: its output, log records, and diagnosis."""
    folder = tmp_path_factory.mktemp("recordings")
    known: dict[str, tuple[object, object, dict[str, object]]] = {}

    def of(agent: str):
        if agent not in known:
            recording = folder / f"{agent}.mdr"
            options = ["-m", "microdelay", "run", "--no-report", "-o", str(recording)]
            done, records = run(world, *options, str(AGENTS / agent))
            found = subprocess.run(
                [sys.executable, "-m", "microdelay", "diagnose", "--format", "json", str(recording)],
                capture_output=True, text=True, check=True,
            )  # fmt: skip
            known[agent] = done, records, json.loads(found.stdout)
        return known[agent]

    return of


def line(agent: str, text: str) -> int:
    """Give the line of an agent's source that has a text."""
    lines = (AGENTS / agent).read_text().splitlines()
    return next(number for number, each in enumerate(lines, 1) if text in each)


def findings(found, rule):
    return [each for each in found["findings"] if each["rule"] == rule]


@pytest.mark.parametrize("agent", ["agent.py", "agent_async.py"])
def test_recorded_agent_does_what_it_does_alone(world, recorded, agent):
    alone, records_alone = run(world, str(AGENTS / agent))
    done, records, _ = recorded(agent)
    assert (done.returncode, done.stdout, done.stderr) == (alone.returncode, alone.stdout, alone.stderr)
    assert records == records_alone


@pytest.mark.parametrize(
    ("slow", "fixed"), [("agent.py", "agent_fixed.py"), ("agent_async.py", "agent_async_fixed.py")]
)
def test_fixed_agent_decides_and_logs_the_same(recorded, slow, fixed):
    slow_done, slow_records, _ = recorded(slow)
    fixed_done, fixed_records, _ = recorded(fixed)
    assert slow_done.stdout == fixed_done.stdout
    assert slow_records == fixed_records


def test_each_execution_is_a_trace(recorded):
    for agent in ("agent.py", "agent_async.py", "agent_fixed.py", "agent_async_fixed.py"):
        found = recorded(agent)[2]
        assert (found["traces"], found["trace_names"]) == (RUNS, ["agent_process_message"]), agent


def test_slow_agent_has_its_seeded_delays_at_their_lines(recorded):
    found = recorded("agent.py")[2]
    places = {(each["rule"], each["where"]["line"]): each for each in found["findings"]}
    data = places["serial-calls", line("agent.py", "= get_weather(user")]
    assert data["dependence"]["verdict"] == "independent"
    assert [p["line"] for p in data["places"]] == [
        line("agent.py", f"= get_{name}(") for name in ("weather", "finance", "crm")
    ]
    [repeated] = findings(found, "repeated-call")
    assert "GET /config" in repeated["what"]
    assert repeated["where"]["function"] == "get_config"
    [chatty] = findings(found, "chatty-logging")
    assert chatty["where"]["function"] == "RemoteLogHandler.emit"
    assert any(Path(each["where"]["file"]).name == "agent.py" for each in findings(found, "new-connection-per-call"))


def test_n_plus_one_stands_at_the_query_in_the_loop(recorded):
    [finding] = findings(recorded("agent.py")[2], "n-plus-one")
    assert finding["where"]["function"] == "load_orders"
    assert "SELECT order_items" in finding["what"]
    assert f"loop of line {line('agent.py', 'for order in orders')}" in finding["what"]
    assert "IN (?, ?, …)" in finding["snippet"]


def test_calls_that_need_an_answer_are_not_said_to_run_together(recorded):
    for agent in ("agent.py", "agent_async.py"):
        for finding in findings(recorded(agent)[2], "serial-calls"):
            if finding["dependence"]["verdict"] == "independent":
                assert not ("/crm" in finding["what"] and "/sentiment" in finding["what"]), finding
                assert "/chat/completions" not in finding["what"], finding


def test_async_agent_has_serial_awaits_and_a_blocked_loop(recorded):
    found = recorded("agent_async.py")[2]
    weather = line("agent_async.py", "= await get_weather(")
    assert any(each["where"]["line"] == weather and each["dependence"]["verdict"] == "independent"
               for each in findings(found, "serial-calls"))  # fmt: skip
    assert any(each["where"]["function"] == "analyse_sentiment" for each in findings(found, "blocked-loop"))


@pytest.mark.parametrize("agent", ["agent_fixed.py", "agent_async_fixed.py"])
def test_fixed_agent_has_nothing_left_that_is_worth_a_twentieth(recorded, agent):
    found = recorded(agent)[2]
    # The table of the items has no index in the fixed agent, either: on a busy machine that is worth a line.
    without_index = [each for each in found["findings"] if each["rule"] == "slow-query"]
    assert all(each["where"]["function"] == "load_orders" for each in without_index)
    for finding in [each for each in found["findings"] if each not in without_index]:
        assert finding["saving_ns"]["expected"] <= 0.05 * found["duration_ns"]["mean"], finding
