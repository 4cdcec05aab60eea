"""Writes a recording of any size, as the recorder would have: one trace of an agent, again and again.

    .venv/bin/python benchmarks/big_recording.py big.mdr --traces 10000 [--asyncio]

Each trace is 100 spans: log calls that post to a service, a query for each row, requests one after the other that
need not be, one that is always answered the same, and a model. Times vary from trace to trace, and so do the values;
the same arguments give the same file.
"""

from __future__ import annotations

import argparse
import ast
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from microdelay.record import layout

SPANS = 100
"""Of one trace."""

ROWS_A_CHUNK = 50_000
"""Spans of one batch, as the recorder's writer makes them."""

SPREAD = (0.8, 1.25)
"""By which the times of a trace are multiplied."""

WITH_FLOW = 200
"""Spans of one place whose single values the recorder looks at."""

START_NS = 1_000_000_000_000
IDLE_NS = 1_000_000
FILE = "/srv/support/agent.py"

SYNC = """\
import json, logging, time, requests, sqlite3

def agent_process_message(message, cursor, model):
    logging.info("received")
    user = find_user(cursor, message)
    items = order_items(cursor, user)
    logging.info("items")
    weather = requests.get("http://weather/today")
    finance = requests.get("http://finance/rates")
    crm = requests.get("http://crm/customers", params=user)
    config = requests.get("http://config/current")
    logging.info("asking")
    time.sleep(0.001)
    answer = requests.post("http://model/v1/chat/completions", json=[items, weather, finance, crm, config])
    logging.info("answered")
    for part in answer.json():
        json.loads(part)
    return answer

def find_user(cursor, message):
    cursor.execute("SELECT id, city FROM users WHERE id = ?", message)
    return cursor.fetchone()

def order_items(cursor, user):
    cursor.execute("SELECT id FROM orders WHERE user_id = ?", user)
    orders = cursor.fetchall()
    found = []
    for order in orders:
        cursor.execute("SELECT product, price FROM order_items WHERE order_id = ?", order)
        rows = cursor.fetchall()
        found.append(rows)
    return found

def emit(record):
    requests.post("http://logs/record", json=record)

def main():
    for message in messages():
        agent_process_message(message)

main()
"""
SCORED = "await asyncio.gather(*[score(client, number) for number in range(4)])"
ASYNC = (
    SYNC.replace("def agent", "async def agent")
    .replace("weather = requests.get", "weather = await client.get")
    .replace("finance = requests.get", "finance = await client.get")
    .replace("crm = requests.get", "crm = await client.get")
    .replace("config = requests.get", "config = await client.get")
    .replace("answer = requests.post", "answer = await client.post")
    .replace("time.sleep", "await asyncio.sleep")
    .replace("    return answer\n", f"    {SCORED}\n    return answer\n", 1)
    + """
async def score(client, number):
    return await client.post("http://model/v1/score", json=number)
"""
).replace("def main():\n    for", "async def main():\n    for").replace(
    "        agent_process_message(message)", "        await asyncio.create_task(agent_process_message(message))"
)  # fmt: skip

EACH, SAME, NONE = "each", "same", ""


class Agent:
    """One trace, laid out from 0 on: rows of tables whose ids count from 1 within the trace."""

    def __init__(self, source: str, is_async: bool) -> None:
        self.is_async = is_async
        self.texts: list[str] = []
        self.sites: list[tuple[int, ...]] = []
        self.shapes: list[tuple[int, ...]] = []
        self.rows: dict[bytes, list[tuple[int, ...]]] = {tag: [] for tag in layout.TABLES}
        self.ids = 0
        self.now = 0
        self.cpu = 0
        self.invocation = self.calls = 0
        self.activity = self.activities = 0
        self._known: dict[object, int] = {}
        self._calls = {
            (node.lineno, ast.unparse(node.func)): node
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call)
        }
        self._lines = source.splitlines()
        self.text("")

    def text(self, text: str) -> int:
        """Give the number of a text."""
        if text not in self._known:
            self._known[text] = len(self.texts)
            self.texts.append(text)
        return self._known[text]

    def site(self, call: str, hint: str, function: str) -> int:
        """Give the site of the call of that name in the first line that holds `hint`."""
        line = next(number for number, text in enumerate(self._lines, 1) if hint in text)
        key = line, call
        if key not in self._known:
            node = self._calls[key]
            place = (self.text(FILE), self.text(function), line, node.end_lineno, node.col_offset, node.end_col_offset)
            self.sites.append((len(self.sites) + 1, *place))
            self._known[key] = len(self.sites)
        return self._known[key]

    def shape(self, kind: str, name: str, attributes: dict[str, object]) -> int:
        """Give the number of a shape."""
        text = json.dumps(attributes, sort_keys=True)
        key = kind, name, text
        if key not in self._known:
            self.shapes.append(
                (len(self.shapes) + 1, self.text(kind), self.text(name), 0, self.text(text), self.text(""))
            )
            self._known[key] = len(self.shapes)
        return self._known[key]

    @contextmanager
    def call(self, function: str, site: int) -> Iterator[None]:
        """Be in a call of one of the agent's functions."""
        self.calls += 1
        caller, self.invocation = self.invocation, self.calls
        line = next(number for number, text in enumerate(self._lines, 1) if f"def {function}(" in text)
        names = self.text(FILE), self.text(function)
        self.rows[b"INVO"].append((self.calls, *names, line, self.activity, self.now, caller, site))
        yield
        self.rows[b"RETN"].append((self.invocation, self.now))
        self.invocation = caller

    @contextmanager
    def span(
        self,
        kind: str,
        name: str,
        site: int,
        attributes: dict[str, object],
        went: tuple[str, str] = (NONE, NONE),
        cpu: int = -1,
    ) -> Iterator[None]:
        """Be in a span; `went` says whether what went in and out is the same in each trace."""
        self.ids += 1
        key, began, began_cpu = self.ids, self.now, self.cpu
        shape = self.shape(kind, name, attributes)
        yield
        values = [{EACH: -key, SAME: shape, NONE: 0}[how] for how in went]
        self.rows[b"SPAN"].append(
            (key, began, self.now - began, self.activity, self.invocation, site, shape, values[0], values[1])
        )
        if cpu >= 0:
            self.rows[b"CPUT"].append((key, began_cpu, self.cpu - began_cpu + cpu))
            self.cpu += cpu
            self.rows[b"FLOW"] += [(key, 0, -key)]

    def wait(self, ns: int) -> None:
        """Let the clock go on."""
        self.now += ns

    def compute(self, ns: int) -> None:
        """Use the processor."""
        self.now += ns
        self.cpu += ns

    def suspend(self, ns: int, site: int, on: str, cause: int = 0, joins: tuple[int, ...] = ()) -> None:
        """Let a task await something; in a thread, just wait."""
        if not self.is_async or not self.activity:
            self.wait(ns)
            return
        began = self._step_began
        self.rows[b"STEP"].append(
            (self.activity, began, self.now - began, ns, 20_000, cause, self.invocation, site, self.text(on))
        )
        self.rows[b"JOIN"] += [(-began, target) for target in joins]
        self.wait(ns)
        self._step_began = self.now

    @contextmanager
    def task(self, name: str, site: int) -> Iterator[int]:
        """Be in a task made here and now; it begins a little later."""
        self.activities += 1
        key, parent, invocation = self.activities, self.activity, self.invocation
        made = (key, self.text("task"), self.text(name), parent, self.now, invocation, site)
        self.rows[b"ACTI"].append(made)
        self.wait(50_000)
        self.activity, self.invocation, self._step_began = key, 0, self.now
        began = self.now
        yield key
        self.rows[b"STEP"].append((key, self._step_began, self.now - self._step_began, -1, -1, 0, 0, 0, self.text("")))
        self.rows[b"ENDA"].append((key, began, self.now))
        self.activity, self.invocation = parent, invocation

    _step_began = 0


def http(method: str, url: str) -> tuple[str, dict[str, object]]:
    """Give the name and the attributes of a request."""
    host, _, path = url.partition("/")
    return f"{method} /{path}", {
        "client": "requests", "http.request.method": method, "http.response.status_code": 200,
        "http.response.body.size": 100 + len(path), "microdelay.connection": "new", "server.address": host,
        "server.port": 80, "url.scheme": "http", "url.template": f"/{path}",
    }  # fmt: skip


def request(agent: Agent, method: str, url: str, site: int, ns: int, went: tuple[str, str], kind: str = "http") -> None:
    """Ask another service, over a new connection."""
    name, attributes = http(method, url)
    host = str(attributes["server.address"])
    with agent.span(kind, name, site, attributes, went, cpu=200_000):
        agent.compute(100_000)
        with agent.span("dns", f"dns {host}", site, {"server.address": host}):
            agent.suspend(50_000, site, "future")
        with agent.span("connect", f"connect {host}", site, {"server.address": host, "server.port": 80}):
            agent.suspend(300_000, site, "future")
        agent.suspend(ns, site, "future")
        agent.compute(50_000)
    agent.compute(30_000)


def log(agent: Agent, hint: str) -> None:
    """Post a log record, which holds a task's loop."""
    site = agent.site("logging.info", f'logging.info("{hint}")', "agent_process_message")
    is_async, agent.is_async = agent.is_async, False
    with agent.span("log", "", site, {"handler": "agent.Remote", "level": "INFO", "logger": "support"}):
        posted = agent.site("requests.post", "http://logs/record", "emit")
        with agent.call("emit", site):
            request(agent, "POST", "logs/record", posted, 11_000_000, (EACH, SAME))
    agent.is_async = is_async
    agent.compute(20_000)


def query(agent: Agent, hint: str, function: str, table: str, fetch: str) -> None:
    """Execute a statement and fetch its rows."""
    line = next(line for line in agent._lines if hint in line)
    attributes: dict[str, object] = {
        "connection": 4,
        "db.query.summary": f"SELECT {table}",
        "db.query.text": line.split('"')[1],
        "db.system.name": "sqlite",
    }
    name = f"SELECT {table}"
    with agent.span("db", name, agent.site("cursor.execute", hint, function), attributes, (EACH, NONE), cpu=30_000):
        agent.wait(500_000)
    agent.compute(10_000)
    following = agent._lines.index(line) + 1
    hint = agent._lines[following].strip()
    if fetch:
        place = agent.site(f"cursor.{fetch}", hint, function)
        with agent.span(
            "db", name, place, attributes | {"part": "fetch", "db.response.returned_rows": 3}, (EACH, EACH)
        ):
            agent.wait(4_000_000)
        agent.compute(10_000)


def lay_out(is_async: bool) -> Agent:
    """Lay out one trace of `SPANS` spans."""
    agent = Agent(ASYNC if is_async else SYNC, is_async)
    top = "agent_process_message"
    called = agent.site(top, f"{top}(message)", "main")
    if is_async:
        with agent.task(top, called), agent.call(top, 0):
            _body(agent, top, "client")
        agent.wait(50_000)
    else:
        with agent.call(top, called):
            _body(agent, top, "requests")
    assert agent.ids == SPANS, agent.ids
    return agent


def _body(agent: Agent, top: str, client: str) -> None:
    log(agent, "received")
    with agent.call("find_user", agent.site("find_user", "user = find_user(", top)):
        query(agent, "FROM users", "find_user", "users", "fetchone")
    with agent.call("order_items", agent.site("order_items", "items = order_items(", top)):
        query(agent, "FROM orders", "order_items", "orders", "fetchall")
        for _ in range(30 if agent.is_async else 27):
            query(agent, "FROM order_items", "order_items", "order_items", "fetchall")
    log(agent, "items")
    for host, path, ns, went in (
        ("weather", "today", 100_000_000, (EACH, EACH)),
        ("finance", "rates", 90_000_000, (EACH, EACH)),
        ("crm", "customers", 95_000_000, (EACH, EACH)),
        ("config", "current", 20_000_000, (SAME, SAME)),
    ):
        request(agent, "GET", f"{host}/{path}", agent.site(f"{client}.get", f"http://{host}/{path}", top), ns, went)
    log(agent, "asking")
    site = agent.site("asyncio.sleep" if agent.is_async else "time.sleep", ".sleep(0.001)", top)
    with agent.span("sleep", "sleep 1 ms", site, {"seconds": 0.001}):
        agent.suspend(1_100_000, site, "sleep")
    site = agent.site(f"{client}.post", "http://model/v1/chat", top)
    request(agent, "POST", "model/v1/chat/completions", site, 300_000_000, (EACH, EACH), "llm")
    log(agent, "answered")
    for _ in range(10 if not agent.is_async else 0):
        with agent.span(
            "codec", "json.loads", agent.site("json.loads", "json.loads(part)", top), {"size": 1200}, cpu=20_000
        ):
            agent.compute(40_000)
        agent.compute(5_000)
    sample = dict.fromkeys(layout.TABLES[b"SAMP"], 0) | {
        "activity": agent.activity, "start_ns": agent.now, "lasted_ns": 10_000_000, "cpu_ns": 9_000_000,
        "clock_ns": agent.cpu + 9_000_000, "looks": 1, "invocation": agent.invocation, "site": site,
    }  # fmt: skip
    agent.rows[b"SAMP"].append(tuple(sample.values()))
    agent.compute(10_000_000)
    if agent.is_async:
        _scores(agent, top)


def _scores(agent: Agent, top: str) -> None:
    """Gather four tasks, which take turns on the loop."""
    made = agent.site("asyncio.gather", "asyncio.gather(", top)
    site = agent.site("client.post", "http://model/v1/score", "score")
    name, attributes = http("POST", "model/v1/score")
    parent, invocation, now, began = agent.activity, agent.invocation, agent.now, agent._step_began
    keys = []
    for number in range(4):
        agent.activity, agent.invocation, agent.now = parent, invocation, now + number * 1_000_000
        with agent.task("score", made) as key, agent.call("score", 0):
            keys.append(key)
            with agent.span("http", name, site, attributes, (EACH, EACH), cpu=100_000):
                agent.compute(300_000)
                agent.suspend(40_000_000, site, "future")
                agent.compute(200_000)
    end = agent.now
    # Created by one step of the agent's, which ended before the first of them ran.
    for each, row in enumerate(agent.rows[b"ACTI"]):
        if row[0] in keys:
            agent.rows[b"ACTI"][each] = (*row[:4], now, *row[5:])
    agent.activity, agent.invocation, agent.now, agent._step_began = parent, invocation, now + 10_000, began
    agent.suspend(end - now + 50_000, made, "gather", cause=keys[-1], joins=tuple(keys))


def write(path: str | Path, traces: int, is_async: bool = False, seed: int = 1) -> int:
    """Write a recording of so many traces, and give the number of its spans."""
    agent = lay_out(is_async)
    factors = np.random.default_rng(seed).uniform(*SPREAD, traces)
    starts = START_NS + np.concatenate(([0], np.cumsum((agent.now * factors).astype(np.int64) + IDLE_NS)))
    meta = {
        "schema": "microdelay.recording/1", "recording": "1-1", "process": "1-1", "command": ["agent.py"], "pid": 1,
        "trace_root": "", "clock": "clock_gettime(CLOCK_MONOTONIC)", "start_ns": START_NS - IDLE_NS,
        "start_unix_ns": 10**18,
    }  # fmt: skip
    done = {"end_ns": int(starts[-1]) + IDLE_NS, "dropped": 0, "troubles": {}, "probes": []}
    with open(path, "wb") as out:
        out.write(layout.MAGIC + layout.json_chunk(layout.META, meta))
        size = max(1, ROWS_A_CHUNK // SPANS)
        for number, low in enumerate(range(0, traces, size), 1):
            some = np.arange(low, min(low + size, traces))
            tables = {tag: _tiled(agent, tag, some, starts, factors) for tag in layout.TABLES}
            if number == 1:
                _first(agent, tables, int(starts[-1]))
            out.write(layout.json_chunk(layout.PROCESS, ["1-1", number, 1]))
            out.write(layout.chunk(layout.ROWS, layout.rows(agent.texts if number == 1 else [], tables)))
        out.write(layout.json_chunk(layout.SOURCE, {FILE: ASYNC if is_async else SYNC}))
        out.write(layout.json_chunk(layout.DONE, done))
    return traces * SPANS


MAIN, BEGUN = 1, 3
"""The main thread; calls around those of the traces: the module and `main`."""


def _first(agent: Agent, tables: dict[bytes, list[int]], end_ns: int) -> None:
    """Add what there is once: places, shapes, the main thread and its calls."""
    for tag, rows in ((b"SITE", agent.sites), (b"SHAP", agent.shapes)):
        tables[tag] = [value for row in rows for value in row]
    names = [agent._known[text] for text in (FILE, "")]
    first = START_NS - IDLE_NS
    agent.texts += ["thread", "MainThread", "<module>", "main"]
    base = len(agent.texts) - 4
    tables[b"ACTI"] = [MAIN, base, base + 1, 0, first, 0, 0, *tables[b"ACTI"]]
    calls = [1, names[0], base + 2, 1, MAIN, first, 0, 0, 2, names[0], base + 3, 1, MAIN, first, 1, 0]
    tables[b"INVO"] = [*calls, *tables[b"INVO"]]


def _tiled(agent: Agent, tag: bytes, some: np.ndarray, starts: np.ndarray, factors: np.ndarray) -> list[int]:
    """Give the rows of a table for some traces, flat."""
    if not agent.rows[tag]:
        return []
    rows = np.array(agent.rows[tag], dtype=np.int64)
    columns = layout.TABLES[tag]
    tiled = np.repeat(rows[None], len(some), axis=0)
    values = dict(zip(columns, np.moveaxis(tiled, 2, 0), strict=True))
    trace, start, factor = (each[some][:, None] for each in (np.arange(len(starts)), starts, factors))

    def at(ns: np.ndarray) -> np.ndarray:
        return start + (ns * factor).astype(np.int64)

    for name, lasted in (("start_ns", _LASTED.get(tag, ())), ("end_ns", ()), ("created_ns", ())):
        if name in values:
            ends = values[name].copy()
            values[name] = at(ends)
            before = values[name]
            for each in lasted:
                ends = ends + np.maximum(values[each], 0)
                after = at(ends)
                values[each] = np.where(values[each] < 0, -1, after - before)
                before = after
    shift: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "id": lambda own: own + trace * SPANS,
        "span": lambda own: (
            np.where(own > 0, own + trace * SPANS, -at(-own)) if tag == b"JOIN" else own + trace * SPANS
        ),
        "activity": lambda own: np.where(own > 0, own + trace * agent.activities + MAIN, MAIN),
        "cause": lambda own: np.where(own > 0, own + trace * agent.activities + MAIN, 0),
        "invocation": lambda own: np.where(own > 0, own + trace * agent.calls + BEGUN - 1, 0 if tag != b"ACTI" else 2),
        "input": lambda own: np.where(own < 0, -own + trace * SPANS + 1000, own),
        "cpu_start_ns": lambda own: own + trace * agent.cpu,
        "clock_ns": lambda own: own + trace * agent.cpu,
    }
    shift["parent"], shift["output"], shift["value"] = shift["activity"], shift["input"], shift["input"]
    shift["caller"] = lambda own: np.where(own > 0, own + trace * agent.calls + BEGUN - 1, 0 if agent.is_async else 2)
    for name, change in shift.items():
        if name in values:
            values[name] = change(values[name])
    if tag == b"INVO" and agent.is_async:  # the calls at the top of a task have no caller
        values["caller"] = np.where(rows[None, :, columns.index("caller")] == 0, 0, values["caller"])
    made = np.stack([values[name] for name in columns], axis=-1)
    if tag == b"FLOW":
        made = made[some < WITH_FLOW]
    return made.reshape(-1).tolist()


_LASTED = {b"SPAN": ("duration_ns",), b"STEP": ("ran_ns", "waited_ns"), b"SAMP": ("lasted_ns",)}
"""Lengths that follow the start of a row, one after the other."""


def main() -> None:
    """Write the file that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("--traces", type=int, default=10_000)
    parser.add_argument("--asyncio", action="store_true")
    arguments = parser.parse_args()
    spans = write(arguments.file, arguments.traces, arguments.asyncio)
    print(f"{spans:,} spans, {Path(arguments.file).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
