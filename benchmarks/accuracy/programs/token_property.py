"""The first use of a property logs in; what comes next sends the token that it keeps."""

from functools import cached_property

import httpx
import world

TRUTH = {"dependent": [["login", "me"]]}

client = httpx.Client(base_url=world.url())


class Account:
    def __init__(self, n):
        self.n = n

    @cached_property
    def token(self):
        return client.post("/login", json={"user": self.n}).json()["access_token"]

    def me(self):
        return client.get("/me", headers={"Authorization": "Bearer " + self.token}).json()["me"]


def before(n):
    account = Account(n)
    shown = account.token[:2]  # at: login
    me = account.me()  # at: me
    return shown, me


if __name__ == "__main__":
    world.main(globals())
