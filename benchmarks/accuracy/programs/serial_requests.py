"""A support desk: weather, account and customer record, asked for one after the other."""

from concurrent.futures import ThreadPoolExecutor

import requests
import world

TRUTH = {
    "findings": {
        "three services": {"rule": "serial-calls", "at": ["weather", "finance", "crm"], "verdict": "independent"}
    },
    "fixes": {"after_together": ["three services"]},
}

http = requests.Session()
pool = ThreadPoolExecutor(3)


def fetch(path: str) -> dict:
    response = http.get(world.url(path), timeout=5)
    response.raise_for_status()
    return response.json()


def before(user_id: int) -> dict:
    weather = fetch(f"/weather/city{user_id}")  # at: weather
    finance = fetch(f"/finance/{user_id}")  # at: finance
    crm = fetch(f"/crm/{user_id}")  # at: crm
    return {"weather": weather["value"], "balance": finance["score"], "tier": crm["value"]}


def after_together(user_id: int) -> dict:
    paths = (f"/weather/city{user_id}", f"/finance/{user_id}", f"/crm/{user_id}")
    weather, finance, crm = pool.map(fetch, paths)
    return {"weather": weather["value"], "balance": finance["score"], "tier": crm["value"]}


if __name__ == "__main__":
    world.main(globals())
