"""The help desk's own systems: contracts and invoices in SQLite, line tests, outage feeds, tickets in a file."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

FOLDER_VARIABLE = "DESK_FOLDER"
BUILD_DIRECTORY = Path(__file__).resolve().parents[2] / "build" / "triage_agents"

CONTRACTS = range(4000, 5000)
INVOICES_PER_CONTRACT = 12
ITEMS_PER_INVOICE = 5
SEED = 20_250_704
LINE_TEST = 0.06  # seconds
FEED = 0.03  # seconds

OUTAGE_SOURCES = ("backbone", "cable", "power")

SCHEMA = """
CREATE TABLE contracts (id INTEGER PRIMARY KEY, district TEXT, devices TEXT);
CREATE TABLE invoices (id INTEGER PRIMARY KEY, contract_id INTEGER, month TEXT);
CREATE TABLE items (id INTEGER PRIMARY KEY, invoice_id INTEGER, text TEXT, cents INTEGER);
"""


def folder() -> Path:
    return Path(os.environ.get(FOLDER_VARIABLE) or BUILD_DIRECTORY)


def open_database() -> sqlite3.Connection:
    database = sqlite3.connect(folder() / "desk.sqlite3")
    database.row_factory = sqlite3.Row
    return database


def prepare() -> None:
    """Builds the database unless it is there, and begins with no tickets."""
    folder().mkdir(parents=True, exist_ok=True)
    path = folder() / "desk.sqlite3"
    if not path.exists():
        build(path)
    (folder() / "tickets.jsonl").write_text("")


def build(path: Path) -> None:
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    dice = random.Random(SEED)
    contracts, invoices, items = [], [], []
    for contract_id in CONTRACTS:
        devices = json.dumps([{"serial": dice.randint(10_000, 99_999), "kind": "router"} for _ in range(3)])
        contracts.append((contract_id, f"district {contract_id % 17}", devices))
        for month in range(1, INVOICES_PER_CONTRACT + 1):
            invoices.append((len(invoices) + 1, contract_id, f"2025-{month:02}"))
            items += [(None, len(invoices), "item", dice.randint(100, 4000)) for _ in range(ITEMS_PER_INVOICE)]
    with closing(sqlite3.connect(unfinished)) as database, database:
        database.executescript(SCHEMA)
        database.executemany("INSERT INTO contracts VALUES (?, ?, ?)", contracts)
        database.executemany("INSERT INTO invoices VALUES (?, ?, ?)", invoices)
        database.executemany("INSERT INTO items VALUES (?, ?, ?, ?)", items)
    unfinished.replace(path)


def contract(contract_id: int) -> str:
    with closing(open_database()) as database:
        row = database.execute("SELECT district, devices FROM contracts WHERE id = ?", (contract_id,)).fetchone()
    if row is None:
        return "unknown contract"
    return f"{row['district']}, {len(json.loads(row['devices']))} devices"


def measure_line(contract_id: int) -> str:
    time.sleep(LINE_TEST)
    return f"{20 + contract_id % 80} Mbit/s"


async def outages(source: str, district: str) -> list[str]:
    await asyncio.sleep(FEED)
    return [f"{source} works"] if len(district) % 3 == len(source) % 3 else []


def invoices(contract_id: int) -> str:
    with closing(open_database()) as database:
        rows = database.execute("SELECT id, month FROM invoices WHERE contract_id = ? ORDER BY id", (contract_id,))
        lines = []
        for invoice in rows.fetchall():
            cents = database.execute("SELECT cents FROM items WHERE invoice_id = ?", (invoice["id"],)).fetchall()
            lines.append(f"{invoice['month']} {sum(item['cents'] for item in cents) / 100:.2f}")
    return "; ".join(lines)


async def write_ticket(text: str) -> None:
    ticket: dict[str, Any] = {"text": text}
    with (folder() / "tickets.jsonl").open("a") as opened:
        opened.write(json.dumps(ticket) + "\n")
        opened.flush()
        os.fsync(opened.fileno())
