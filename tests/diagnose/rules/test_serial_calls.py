"""Twin programs whose spans look the same and whose truths are opposite, recorded for real."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, product
from pathlib import Path

import pytest

from microdelay.diagnose.case import Case
from microdelay.diagnose.edits import Together
from microdelay.diagnose.pricing import Pricing
from microdelay.diagnose.rule import Finding, rules
from microdelay.traces import assemble, read

ANSWER_SECONDS = 0.02
TIMES = 5

SYNC = """\
import sys
import microdelay, requests
URL = sys.argv[1]

def get(path):
    return requests.get(URL + path, timeout=10).json()

def a():
    {body}
    return r3

microdelay.start(sys.argv[2])
{run}
microdelay.stop()
"""

ASYNC = """\
import asyncio, sys
import aiohttp, microdelay
URL = sys.argv[1]

async def get(path):
    async with aiohttp.ClientSession() as session:
        async with session.get(URL + path) as response:
            return await response.json()

async def a():
    {body}
    return r3

async def main():
    {run}

microdelay.start(sys.argv[2])
asyncio.run(main())
microdelay.stop()
"""

BODIES = {
    "independent": ["r1 = get('/one')", "r2 = get('/two')", "r3 = get('/three')"],
    "dependent": ["r1 = get('/one')", "r2 = get('/two/' + r1['next'])", "r3 = get('/three/' + r2['next'])"],
}


class Handler(BaseHTTPRequestHandler):
    """Answers each request after a while, with a value that no other answer has."""

    numbers = count(1_000_001)

    def do_GET(self) -> None:
        time.sleep(ANSWER_SECONDS)
        body = json.dumps({"path": self.path.split("/")[1], "next": f"item-{next(self.numbers)}"}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *args: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def findings(program: str, url: str, folder: Path) -> list[Finding]:
    """What the rule says about a program, run in a process of its own."""
    script, recording = folder / "agent.py", folder / "agent.mdr"
    script.write_text(program, encoding="utf-8")
    subprocess.run([sys.executable, str(script), url, str(recording)], check=True, cwd=folder, timeout=60)
    recorded = read(str(recording))
    return list(rules()["serial-calls"].find(Case(recorded, assemble(recorded))))


@pytest.mark.parametrize("truth", ["independent", "dependent"])
@pytest.mark.parametrize("how", ["once", "in a loop"])
@pytest.mark.parametrize(("style", "layout"), list(product(["sync", "async"], ["on one line", "on three lines"])))
def test_twins(*, style: str, layout: str, how: str, truth: str, url: str, tmp_path: Path) -> None:
    lines = BODIES[truth]
    if style == "async":
        lines = [line.replace("= get", "= await get") for line in lines]
    body = "; ".join(lines) if layout == "on one line" else "\n    ".join(lines)
    run = "await a()" if style == "async" else "a()"
    if how == "in a loop":
        run = f"for _ in range({TIMES}): " + run
    program = (ASYNC if style == "async" else SYNC).format(body=body, run=run)
    found = [each for each in findings(program, url, tmp_path) if each.where.function == "a"]
    assert [each.dependence.verdict for each in found if each.dependence] == [truth], [each.what for each in found]
    assert len(found[0].places) == 3
    assert bool(found[0].remedy) == (truth == "independent")
    assert len({(place.line, place.column) for place in found[0].places}) == 3


PROGRAM = """\
import sys
import microdelay, requests
URL = sys.argv[1]
{source}
microdelay.start(sys.argv[2])
work()
microdelay.stop()
"""

WHOLE = {
    "methods that keep their answers in other attributes": (
        "independent",
        """
class Agent:
    def weather(self):
        self.sky = requests.get(URL + "/weather").json()
    def account(self):
        self.money = requests.get(URL + "/account").json()
    def run(self):
        self.weather()
        self.account()
        return self.sky, self.money
def work():
    Agent().run()
""",
    ),
    "a method that reads what another one kept": (
        "dependent",
        """
class Agent:
    def login(self):
        self.token = requests.get(URL + "/login").json()["next"]
    def account(self):
        self.money = requests.get(URL + "/account", headers={"Accept": "x" + self.token[:2]}).json()
    def run(self):
        self.login()
        self.account()
        return self.money
def work():
    Agent().run()
""",
    ),
    "a client made on first use": (
        "independent",
        """
class Agent:
    session = None
    def get(self, path):
        if self.session is None:
            self.session = requests.Session()
        return self.session.get(URL + path).json()
    def run(self):
        one = self.get("/one")
        two = self.get("/two")
        return one, two
def work():
    Agent().run()
""",
    ),
    "a global that one function writes and the other reads": (
        "dependent",
        """
token = ""
def login():
    global token
    token = len(requests.get(URL + "/login").text)
    return token
def account():
    return requests.get(URL + f"/account?n={token}").json()
def work():
    one = login()
    two = account()
    return one, two
""",
    ),
    "a list given to both": (
        "dependent",
        """
def ask(messages):
    messages.append(len(requests.post(URL + "/chat", json={"n": len(messages)}).text))
    return messages[-1]
def work():
    messages = []
    one = ask(messages)
    two = ask(messages)
    return one, two
""",
    ),
    "a nested function that reads the answer": (
        "dependent",
        """
def work():
    def second():
        return requests.get(URL + f"/two?n={len(one)}").json()
    one = requests.get(URL + "/one").json()
    two = second()
    return two
""",
    ),
    "a session that was given a token": (
        "dependent",
        """
def work():
    session = requests.Session()
    one = session.get(URL + "/login").json()
    session.headers["X-Size"] = str(len(one))
    two = session.get(URL + "/two").json()
    return two
""",
    ),
    "a post between two reads": (
        "not independent",
        """
def work():
    one = requests.get(URL + "/one").json()
    made = requests.post(URL + "/orders", json={"a": 1}).json()
    two = requests.get(URL + "/orders").json()
    return one, made, two
""",
    ),
    "a list comprehension, after letters that are more than one byte: äöü €": (
        "independent",
        """
def work():
    return "äöü €", [requests.get(URL + f"/é{n}").json() for n in range(4)]
""",
    ),
    "a decorated helper": (
        "independent",
        """
import functools
def logged(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args)
    return wrapper
@logged
def get(path):
    return requests.get(URL + path).json()
def work():
\tone = get("/one")
\ttwo = get("/two")
\treturn one, two
""",
    ),
    "both calls in one returned expression": (
        "independent",
        """
def get(path):
    return requests.get(URL + path).text
def work():
    return get("/one") + get("/two")
""",
    ),
    "a call made of another one's answer, in one expression": (
        "dependent",
        """
def get(path):
    return requests.get(URL + path).text
def work():
    return get(f"/two?n={len(get('/one'))}")
""",
    ),
}


@pytest.mark.parametrize(("truth", "source"), [pytest.param(*rest, id=name) for name, rest in WHOLE.items()])
def test_program(truth: str, source: str, url: str, tmp_path: Path) -> None:
    found = findings(PROGRAM.format(source=source), url, tmp_path)
    verdicts = {each.dependence.verdict for each in found if each.dependence}
    evidence = [each.dependence.evidence for each in found if each.dependence]
    if truth == "not independent":
        assert "independent" not in verdicts, evidence
        return
    assert verdicts == {truth} or (truth == "dependent" and not verdicts), evidence


SHOP = """
class Shop:
    kept = 0
    async def first(self):
        self.kept = len(await get('/kept'))
    async def other(self):
        return await get('/other')
    async def last(self):
        return await get('/last' if self.kept else '/none')

shop = Shop()
async def a():
    {body}
    return r3
"""

GATHERS = {
    "two gathers": (
        "independent",
        [
            "r1 = await asyncio.gather(get('/one'), get('/two'))",
            "r3 = r1, await asyncio.gather(get('/three'), get('/four'))",
        ],
    ),
    "a gather and a call": (
        "independent",
        ["r1, r2 = await asyncio.gather(get('/one'), get('/two'))", "r3 = r1, r2, await get('/three')"],
    ),
    "a task that is awaited at once, and a call": (
        "independent",
        ["r1 = await asyncio.create_task(get('/one'))", "r3 = r1, await get('/two')"],
    ),
    "the second gather is made of an answer of the first": (
        "dependent",
        [
            "r1 = await asyncio.gather(get('/one'), get('/two'))",
            "r3 = await asyncio.gather(get('/three'), get('/four' if r1[1] else '/five'))",
        ],
    ),
    "a part of the first keeps what the second call reads": (
        "dependent",
        [
            "r1 = await asyncio.gather(shop.other(), shop.first())",
            "r3 = r1, await get('/some' if shop.kept else '/none')",
        ],
    ),
    "a part of the first keeps what a part of the second reads": (
        "dependent",
        [
            "r1 = await asyncio.gather(shop.first(), shop.other())",
            "r3 = r1, await asyncio.gather(get('/two'), shop.last())",
        ],
    ),
    "calls that were made elsewhere keep something": (
        "unknown",
        [
            "calls = [shop.other(), shop.first()]",
            "r1 = await asyncio.gather(*calls)",
            "r3 = r1, await get('/some' if shop.kept else '/none')",
        ],
    ),
}


@pytest.mark.parametrize(("truth", "body"), GATHERS.values(), ids=list(GATHERS))
def test_what_one_await_runs_together_is_one_call(truth: str, body: list[str], url: str, tmp_path: Path) -> None:
    source = ASYNC.partition("async def a")[0] + SHOP.format(body="\n    ".join(body))
    program = source + ASYNC.partition("return r3")[2].format(run=f"for _ in range({TIMES}): await a()")
    found = [each for each in findings(program, url, tmp_path) if each.where.function == "a"]
    assert [each.dependence.verdict for each in found if each.dependence] == [truth], [each.what for each in found]
    assert not found[0].edits or {len(each.intervals) for each in found[0].edits if isinstance(each, Together)} == {2}


def test_calls_that_run_together_already_are_awaited_all(url: str, tmp_path: Path) -> None:
    program = ASYNC.format(body="\n    ".join(GATHERS["two gathers"][1]), run=f"for _ in range({TIMES}): await a()")
    (found,) = findings(program, url, tmp_path)
    recording = read(str(tmp_path / "agent.mdr"))
    traces = assemble(recording)
    pricing = Pricing(recording, traces)
    left_ns = pricing.recorded - pricing.savings(found.edits)["best"]
    assert left_ns.min() >= ANSWER_SECONDS * 1e9
    assert pricing.savings(found.edits)["worst"].min() > 0
    assert "await fan_out" in found.snippet


def test_a_task_that_is_awaited_later_is_no_call_there(url: str, tmp_path: Path) -> None:
    body = ["task = asyncio.create_task(get('/one'))", "r2 = await get('/two')", "r3 = r2, await task"]
    program = ASYNC.format(body="\n    ".join(body), run=f"for _ in range({TIMES}): await a()")
    assert not [each for each in findings(program, url, tmp_path) if each.where.function == "a"]


def test_source_that_is_gone_leaves_the_verdict_unknown(url: str, tmp_path: Path) -> None:
    script = tmp_path / "agent.py"
    body = "\n    ".join(BODIES["independent"])
    program = SYNC.format(body=body, run="a()") + "\nimport os; os.remove(__file__)\n"
    (found,) = findings(program, url, tmp_path)
    assert not script.exists()
    assert found.dependence is not None
    assert found.dependence.verdict == "unknown"
    assert "agent.py" in found.dependence.evidence[0]
