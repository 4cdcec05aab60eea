"""requests.get for each call to a service behind TLS: name, TCP and handshake every time."""

import requests
import world
from world.secure import certificate

TRUTH = {
    "findings": {"connections": {"rule": ["new-connection-per-call", "client-per-call"], "at": ["user", "crm"]}},
    "fixes": {"after_session": ["connections"]},
    "dependent": [["user", "crm"]],
    "also": ["client-per-call"],
    "needs": ["secure"],
}

SERVICE = world.address("secure")
TRUSTED = certificate(SERVICE)
session = requests.Session()


def before(n):
    user = requests.get(f"{SERVICE}/users/{n}", verify=TRUSTED).json()  # at: user
    return requests.get(f"{SERVICE}/crm/{user['key']}", verify=TRUSTED).json()["value"]  # at: crm


def after_session(n):
    user = session.get(f"{SERVICE}/users/{n}", verify=TRUSTED).json()
    return session.get(f"{SERVICE}/crm/{user['key']}", verify=TRUSTED).json()["value"]


if __name__ == "__main__":
    world.main(globals())
