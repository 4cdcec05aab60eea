"""For each member of a team: the user, then the user's orders. A turn needs nothing of the turn before."""

from concurrent.futures import ThreadPoolExecutor

import requests
import world

TRUTH = {
    "findings": {
        "members": {"rule": ["serial-calls", "n-plus-one"], "at": ["user", "orders"], "verdict": "independent"}
    },
    "fixes": {"after_pool": ["members"]},
    "runs": 10,
}

session = requests.Session()


def get(path, **params):
    r = session.get(world.url(path), params=params)
    r.raise_for_status()
    return r.json()


def before(team):
    report = {}
    for member in range(team * 3, team * 3 + 3):
        user = get(f"/users/{member}")  # at: user
        report[user["name"]] = get("/orders", user=user["key"])["of"]  # at: orders
    return report


def one(member):
    user = get(f"/users/{member}")
    return user["name"], get("/orders", user=user["key"])["of"]


def after_pool(team):
    with ThreadPoolExecutor(3) as pool:
        return dict(pool.map(one, range(team * 3, team * 3 + 3)))


if __name__ == "__main__":
    world.main(globals())
