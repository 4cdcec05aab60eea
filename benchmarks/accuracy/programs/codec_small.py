"""json for small things, as everywhere: it takes microseconds."""

import json

import requests
import world

TRUTH = {}

session = requests.Session()


def before(n):
    user = json.loads(session.get(world.url(f"/users/{n}")).text)
    texts = [json.dumps({"name": user["name"], "number": number}) for number in range(20)]
    return len("".join(texts))


if __name__ == "__main__":
    world.main(globals())
