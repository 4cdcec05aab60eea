"""pool.map over customers; the function that each worker runs asks two services one after the other."""

from concurrent.futures import ThreadPoolExecutor

import requests
import world

TRUTH = {
    "findings": {"in a worker": {"rule": "serial-calls", "at": ["finance", "crm"], "verdict": "independent"}},
    "fixes": {"after_nested": ["in a worker"]},
}

adapter = requests.adapters.HTTPAdapter(pool_maxsize=16)
http = requests.Session()
http.mount("http://", adapter)
customers = ThreadPoolExecutor(3)
services = ThreadPoolExecutor(6)


def fetch_json(path):
    return http.get(world.url(path), timeout=10).json()


def profile(customer):
    finance = fetch_json(f"/finance/{customer}")  # at: finance
    crm = fetch_json(f"/crm/{customer}")  # at: crm
    return finance["value"] + crm["value"]


def profile_nested(customer):
    finance = services.submit(fetch_json, f"/finance/{customer}")
    crm = services.submit(fetch_json, f"/crm/{customer}")
    return finance.result()["value"] + crm.result()["value"]


def before(n):
    return list(customers.map(profile, [f"{n}a", f"{n}b", f"{n}c"]))


def after_nested(n):
    return list(customers.map(profile_nested, [f"{n}a", f"{n}b", f"{n}c"]))


if __name__ == "__main__":
    world.main(globals())
