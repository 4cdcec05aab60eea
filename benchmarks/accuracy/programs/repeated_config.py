"""Three helpers fetch the same configuration, each for itself, in every execution."""

from functools import lru_cache

import requests
import world

TRUTH = {
    "findings": {"config": {"rule": "repeated-call", "at": ["config", "limit", "region", "model"]}},
    "fixes": {"after_cached": ["config"]},
    "quick": True,
}

session = requests.Session()


def config():
    return session.get(world.url("/config")).json()  # at: config


@lru_cache
def config_once():
    return config()


def before(n):
    limit = config()["limit"]  # at: limit
    user = session.get(world.url(f"/users/{n}")).json()
    region = config()["region"]  # at: region
    model = config()["model"]  # at: model
    return user["name"], limit, region, model


def after_cached(n):
    limit = config_once()["limit"]
    user = session.get(world.url(f"/users/{n}")).json()
    return user["name"], limit, config_once()["region"], config_once()["model"]


if __name__ == "__main__":
    world.main(globals())
