"""An exchange refuses a number that is smaller than the last one: each request takes the next from one counter."""

import itertools

import requests
import world

TRUTH = {"dependent": [["both", "both"]]}

session = requests.Session()


class Exchange:
    numbers = itertools.count(1)

    def symbol(self, what):
        reply = session.get(world.url(f"/price/{what}"), params={"nonce": next(self.numbers)})
        return reply.json()["symbol"]


exchange = Exchange()


def before(n):
    return exchange.symbol("abb"), exchange.symbol("sap")  # at: both


if __name__ == "__main__":
    world.main(globals())
