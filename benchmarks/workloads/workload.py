"""One workload under one recorder, in a process of its own: `workload.py WORKLOAD PEER OPERATIONS`.

Prints JSON: processor and wall nanoseconds of the operations, until what was recorded has been handed over.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import time
from collections.abc import Callable

import peers

UNIT = 100
"""Operations in one unit of work."""

Run = Callable[[int], None]


def sqlite_query() -> Run:
    """A query of a few microseconds: the dearest case for a recorder."""
    import sqlite3

    database = sqlite3.connect(":memory:")
    database.execute("create table item (id integer primary key, name text)")
    database.executemany("insert into item values (?, ?)", [(number, f"name {number}") for number in range(1000)])

    def run(operations: int) -> None:
        for number in range(operations):
            # Not `database.execute`: OpenTelemetry does not see it.
            cursor = database.cursor()
            cursor.execute("select name from item where id = ?", (number % 1000,))
            cursor.fetchone()

    return run


def database_loop() -> Run:
    """A query of 20 µs, a log record and a JSON text: what many agents do between two calls."""
    import sqlite3

    logger = logging.getLogger("work")
    logger.addHandler(logging.StreamHandler(open(os.devnull, "w")))  # noqa: SIM115
    logger.setLevel(logging.INFO)
    logger.propagate = False
    database = sqlite3.connect(":memory:")
    database.execute("create table item (id integer primary key, name text, price real)")
    database.executemany("insert into item values (?, ?, ?)", [(n, f"name {n}", n / 7) for n in range(1000)])

    def run(operations: int) -> None:
        for number in range(operations):
            low = number % 900
            cursor = database.cursor()
            cursor.execute("select id, name, price from item where id between ? and ?", (low, low + 15))
            found = cursor.fetchall()
            logger.info("found %d rows for %d", len(found), number)
            json.loads(json.dumps({"rows": found}))

    return run


def requests_calls() -> Run:
    """`requests` on loopback, one connection kept."""
    import requests

    session = requests.Session()

    def run(operations: int) -> None:
        for number in range(operations):
            session.get(f"{os.environ['SERVICE']}/items/{number}").json()

    return run


def aiohttp_calls() -> Run:
    """`aiohttp` on loopback, one call after the other."""
    import aiohttp

    async def call(operations: int) -> None:
        async with aiohttp.ClientSession() as session:
            for number in range(operations):
                async with session.get(f"{os.environ['SERVICE']}/items/{number}") as answer:
                    await answer.json()

    def run(operations: int) -> None:
        asyncio.run(call(operations))

    return run


WORKLOADS: dict[str, Callable[[], Run]] = {
    made.__name__: made for made in (sqlite_query, database_loop, requests_calls, aiohttp_calls)
}


def main() -> None:
    """Run it and print."""
    workload, peer, operations = sys.argv[1], sys.argv[2], int(sys.argv[3])
    end = peers.PEERS[peer]()
    run = WORKLOADS[workload]()
    run(UNIT)
    gc.collect()
    cpu, wall = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(operations // UNIT):
        with peers.unit():
            run(UNIT)
    wall = time.perf_counter_ns() - wall
    facts = end()
    cpu = time.process_time_ns() - cpu
    print(json.dumps({"cpu_ns": cpu, "wall_ns": wall, "operations": operations // UNIT * UNIT} | facts))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
