"""Logs in, and the session's cookie goes along with what follows without a line of code that says so."""

from concurrent.futures import ThreadPoolExecutor

import requests
import world

TRUTH = {
    "dependent": [["login", "me"], ["login", "mail"]],
    "findings": {"two reads": {"rule": "serial-calls", "at": ["me", "mail"], "verdict": "independent"}},
    "fixes": {"after_together": ["two reads"]},
    "also": ["client-per-call", "new-connection-per-call"],
}

pool = ThreadPoolExecutor(2)


def before(n):
    with requests.Session() as session:
        session.post(world.url("/login"), json={"user": n, "password": "x"}).raise_for_status()  # at: login
        me = session.get(world.url(f"/me?of={n}")).json()  # at: me
        mail = session.get(world.url(f"/me/mail?of={n}")).json()  # at: mail
    return me["me"], mail["mail"]


def after_together(n):
    with requests.Session() as session:
        session.post(world.url("/login"), json={"user": n, "password": "x"}).raise_for_status()
        me, mail = pool.map(lambda path: session.get(world.url(path)).json(), (f"/me?of={n}", f"/me/mail?of={n}"))
    return me["me"], mail["mail"]


if __name__ == "__main__":
    world.main(globals())
