"""A row is read from SQLite between two requests, and none of the three needs another."""

from concurrent.futures import ThreadPoolExecutor

import requests
import world

TRUTH = {
    "findings": {"requests": {"rule": "serial-calls", "at": ["weather", "record"], "verdict": "independent"}},
    "fixes": {"after_together": ["requests"]},
    "dependent": [["weather", "name"], ["name", "record"]],
}

session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=8))
pool = ThreadPoolExecutor(2)
db = world.sqlite(ms=4)


def value(path):
    return session.get(world.url(path)).json()["value"]


def before(n):
    weather = value(f"/weather/{n}")  # at: weather
    name = db.execute("SELECT name FROM users WHERE id = ?", (n,)).fetchone()[0]  # at: name
    record = value(f"/crm/{n}")  # at: record
    return weather, name, record


def after_together(n):
    weather, record = pool.submit(value, f"/weather/{n}"), pool.submit(value, f"/crm/{n}")
    found = weather.result(), record.result()
    name = db.execute("SELECT name FROM users WHERE id = ?", (n,)).fetchone()[0]
    return found[0], name, found[1]


if __name__ == "__main__":
    world.main(globals())
