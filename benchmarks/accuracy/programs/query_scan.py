"""A query on a column without an index reads half a million rows."""

import requests
import world

TRUTH = {
    "findings": {"scan": {"rule": ["slow-query", "missing-index"], "at": ["scan"]}},
    "fixes": {"after_index": ["scan"]},
    "dependent": [["user", "scan"]],
}

session = requests.Session()
plain, indexed = world.sqlite(ms=1), world.sqlite(ms=1)
for database in (plain, indexed):
    database.executescript(
        "CREATE TABLE events (id INTEGER PRIMARY KEY, account TEXT, what TEXT);"
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700000)"
        " INSERT INTO events SELECT i, hex(i % 4096), 'event number ' || i FROM n;"
    )
indexed.execute("CREATE INDEX of_account ON events (account)")


def count(database, account):
    return database.execute("SELECT count(*) FROM events WHERE account = ?", (account,)).fetchone()[0]  # at: scan


def work(n, database):
    user = session.get(world.url(f"/quick/{n}")).json()  # at: user
    return count(database, user["value"][:4].upper())


def before(n):
    return work(n, plain)


def after_index(n):
    return work(n, indexed)


if __name__ == "__main__":
    world.main(globals())
