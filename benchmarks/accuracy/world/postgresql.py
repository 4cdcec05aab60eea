"""PostgreSQL 3 ms away, with the shop in it: `python -m world.postgresql` prints its DSN."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import psycopg

from world import network

sys.path.append(str(Path(__file__).resolve().parents[3]))
from tests import servers

ROUND_TRIP_MS = 3.0

SHOP = """
CREATE TABLE users (id int PRIMARY KEY, name text, city text, manager_id int);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users, placed text);
CREATE INDEX ON orders (user_id);
INSERT INTO users SELECT i, 'user ' || i, 'city ' || i % 5, i / 2 FROM generate_series(1, 64) i;
INSERT INTO orders SELECT i + 1, i / 6 + 1, '2026-11-' || (i % 28 + 1) FROM generate_series(0, 383) i;
CREATE TABLE events (id int, user_id int, what text);
INSERT INTO events SELECT i, i % 64 + 1, md5(i::text) FROM generate_series(1, 200000) i;
CREATE INDEX ON events (id);
ANALYZE;
"""

if __name__ == "__main__":
    with servers.postgresql() as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(SHOP)
        asyncio.run(network.serve(dsn, ROUND_TRIP_MS))
