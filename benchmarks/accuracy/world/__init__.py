"""What every program of the benchmark stands in: a service with known delays, databases some way off, and `main`.

A program is a script of its own, `python programs/NAME.py VARIANT… [--runs N]`, and prints what each execution of its
unit of work took. Servers that are not there yet are started; the runner starts them once and names them in WORLD.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import ctypes
import gc
import inspect
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any

RUNS = 12
"""Executions of the unit of work: enough for a median."""

_usleep = ctypes.CDLL(None).usleep  # no probe sees it, as none sees what a server does


def started(module: str, *arguments: str) -> str:
    """Start one of the servers of this package for the life of this process, and give the address that it prints."""
    server = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), "MICRODELAY_OFF": "1"},
    )
    assert server.stdin is not None
    assert server.stdout is not None
    atexit.register(server.wait)
    atexit.register(server.stdin.close)
    return server.stdout.readline().decode().strip()


def address(name: str) -> str:
    """Give the address of a server: `service`, `valkey` or `postgresql`."""
    known: dict[str, str] = json.loads(os.environ.get("WORLD", "{}"))
    if name not in known:
        known[name] = started(f"world.{name}")
        os.environ["WORLD"] = json.dumps(known)
    return known[name]


def url(path: str = "") -> str:
    """Give the URL of a path of the service."""
    return address("service") + path


def sqlite(ms: float = 3.0) -> sqlite3.Connection:
    """Open a small shop (users, orders, items) of which each statement takes `ms` longer, as over a network."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(SHOP)
    connection.commit()
    far_off(connection, ms)
    return connection


def far_off(connection: sqlite3.Connection, ms: float) -> None:
    """Let each statement of a connection take `ms` longer."""
    connection.set_trace_callback(partial(_usleep, int(1000 * ms)))  # C only: no frame for a sampler to see


SHOP = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, city TEXT, manager_id INTEGER);
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER, placed TEXT);
CREATE TABLE items (id INTEGER PRIMARY KEY, order_id INTEGER, product TEXT, price REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 64)
    INSERT INTO users SELECT i, 'user ' || i, 'city ' || i % 5, i / 2 FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 383)
    INSERT INTO orders SELECT i + 1, i / 6 + 1, '2026-11-' || (i % 28 + 1) FROM n;
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1151)
    INSERT INTO items SELECT i + 1, i / 3 + 1, 'product ' || i % 17, i * 1.5 FROM n;
"""
"""64 users; 6 orders of each (ids 6 n - 5 … 6 n); 3 items of each order. The manager of user n is user n / 2."""


_Seen = dict[str, dict[int, tuple[int, Any]]]


def main(program: Mapping[str, Any]) -> None:
    """Run variants of a program in turns, as its command line says, and print what each execution took and gave.

    Each runs once before, under another name, so that no execution has to import, connect or fill a cache.
    """
    truth = program["TRUTH"]
    parser = argparse.ArgumentParser(description=program["__doc__"])
    parser.add_argument("variants", nargs="+", help="before, after_…")
    parser.add_argument("--runs", type=int, default=truth.get("runs", RUNS))
    given = parser.parse_args()
    variants = {name: program[name] for name in given.variants}
    warm_up = () if truth.get("cold") else [_renamed(variant) for variant in variants.values()]
    seen: _Seen = {name: {} for name in variants}
    url()
    if inspect.iscoroutinefunction(program["before"]):
        asyncio.run(_run_async(program, warm_up, variants, given.runs, seen))
    else:
        _run(program, warm_up, variants, given.runs, seen)
    for name, executions in seen.items():
        took, gave = zip(*(executions[number] for number in sorted(executions)), strict=True)
        print(json.dumps({"variant": name, "durations_ns": took, "answers": gave}, default=str))


def _renamed(variant: FunctionType) -> FunctionType:
    """Give the same function under another name: it is no execution of the unit of work."""
    code = variant.__code__.replace(co_name="warm_up", co_qualname="warm_up")
    return FunctionType(code, variant.__globals__, "warm_up", variant.__defaults__, variant.__closure__)


def _run(
    program: Mapping[str, Any],
    warm_up: Sequence[FunctionType],
    variants: Mapping[str, FunctionType],
    runs: int,
    seen: _Seen,
) -> None:
    with program["resources"]() if "resources" in program else nullcontext() as resources:
        arguments = () if resources is None else (resources,)
        for function in warm_up:
            function(runs + 1, *arguments)
        gc.collect()
        for number in range(1, runs + 1):
            for name, variant in variants.items():
                begun = time.perf_counter_ns()
                answer = variant(number, *arguments)
                seen[name][number] = time.perf_counter_ns() - begun, answer


async def _run_async(
    program: Mapping[str, Any],
    warm_up: Sequence[FunctionType],
    variants: Mapping[str, FunctionType],
    runs: int,
    seen: _Seen,
) -> None:
    in_flight = program["TRUTH"].get("in_flight", 1)

    async def one(name: str, number: int, arguments: tuple[Any, ...]) -> None:
        begun = time.perf_counter_ns()
        answer = await variants[name](number, *arguments)
        seen[name][number] = time.perf_counter_ns() - begun, answer

    async with program["resources"]() if "resources" in program else nullcontext() as resources:
        arguments = () if resources is None else (resources,)
        for function in warm_up:
            await function(runs + 1, *arguments)
        gc.collect()
        for first in range(1, runs + 1, in_flight):
            for name in variants:
                if in_flight == 1:
                    await one(name, first, arguments)
                else:
                    await asyncio.gather(*(one(name, first + more, arguments) for more in range(in_flight)))
