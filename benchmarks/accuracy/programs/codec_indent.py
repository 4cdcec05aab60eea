"""Dumps and loads half a megabyte with the json module, indented, which is its slow way."""

import json

import orjson
import requests
import world

TRUTH = {
    "findings": {"codec": {"rule": "slow-codec", "at": ["dumps", "loads"]}},
    "also": ["gc-pause"],
    "fixes": {"after_orjson": ["codec"]},
}

session = requests.Session()
rows = [{"id": number, "name": f"row {number}", "values": [number, number * 2, number * 3]} for number in range(6000)]


def before(n):
    first = session.get(world.url(f"/quick/{n}")).json()["value"]
    text = json.dumps({"first": first, "rows": rows}, indent=2)  # at: dumps
    return len(json.loads(text)["rows"])  # at: loads


def after_orjson(n):
    first = orjson.loads(session.get(world.url(f"/quick/{n}")).content)["value"]
    text = orjson.dumps({"first": first, "rows": rows}, option=orjson.OPT_INDENT_2)
    return len(orjson.loads(text)["rows"])


if __name__ == "__main__":
    world.main(globals())
