"""Workers share a dictionary under a lock, and hold the lock while they ask the service."""

import threading
from concurrent.futures import ThreadPoolExecutor

import requests
import world

TRUTH = {
    "findings": {"lock": {"rule": "lock-convoy", "at": ["lock", "get", "run"]}},
    "fixes": {"after_narrow": ["lock"]},
}

session = requests.Session()
session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=8))
pool = ThreadPoolExecutor(4)
lock = threading.Lock()


def wide(results, key):
    with lock:  # at: lock
        results[key] = session.get(world.url(f"/stock/{key}")).json()["value"]  # at: get


def narrow(results, key):
    value = session.get(world.url(f"/stock/{key}")).json()["value"]
    with lock:
        results[key] = value


def run(worker, n):
    results = {}
    for done in [pool.submit(worker, results, f"{n}k{i}") for i in range(4)]:
        done.result()  # at: run
    return sorted(results.items())


def before(n):
    return run(wide, n)


def after_narrow(n):
    return run(narrow, n)


if __name__ == "__main__":
    world.main(globals())
