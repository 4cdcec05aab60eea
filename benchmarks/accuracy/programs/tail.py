"""One request in ten takes nine times as long."""

import requests
import world

TRUTH = {"findings": {"outlier": {"rule": "tail-outlier", "at": ["get"]}}, "runs": 50}

session = requests.Session()


def before(n):
    return session.get(world.url(f"/uneven/{n}")).json()["value"]  # at: get


if __name__ == "__main__":
    world.main(globals())
