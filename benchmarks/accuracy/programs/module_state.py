"""One function leaves a token in the module, another reads it there: the call site shows nothing of it."""

import requests
import world

TRUTH = {"dependent": [["open", "read"]]}

session = requests.Session()
_settings = {"token": None}


def open_account(n):
    reply = session.post(world.url("/login"), json={"account": n})
    _settings["token"] = reply.json()["access_token"]


def read_profile(n):
    headers = {"Authorization": "Bearer " + _settings["token"]}
    session.cookies.clear()
    return session.get(world.url(f"/me?n={n}"), headers=headers).json()["me"]


def before(n):
    open_account(n)  # at: open
    return read_profile(n)  # at: read


if __name__ == "__main__":
    world.main(globals())
