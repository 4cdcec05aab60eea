"""Asks a service that restarts again and again, without a pause, until it answers."""

import os

import requests
import world

TRUTH = {
    "findings": {"hammering": {"rule": "retry-storm", "at": ["try"]}},
    "dependent": [["try", "try"]],
}

session = requests.Session()
RUN = os.getpid()


def before(n):
    for _ in range(100):
        answer = session.get(world.url(f"/busy/b{n}_{RUN}"))  # at: try
        if answer.status_code == 200:
            return answer.status_code
    raise TimeoutError


if __name__ == "__main__":
    world.main(globals())
