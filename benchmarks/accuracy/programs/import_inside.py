"""Imports what it needs inside the handler: the first execution pays for all."""

import requests
import world

TRUTH = {
    "findings": {"import": {"rule": ["import-in-path", "cold-start"], "at": ["import"]}},
    "cold": True,
}

session = requests.Session()


def before(n):
    from sqlalchemy.orm import declarative_base  # at: import

    record = session.get(world.url(f"/crm/{n}")).json()
    return record["value"], declarative_base.__name__


if __name__ == "__main__":
    world.main(globals())
