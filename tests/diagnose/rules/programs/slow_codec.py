"""Two megabytes are written as JSON by the standard library (slow), or by orjson (near)."""

import json
import sys

import orjson
import requests

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()
rows = [{"id": each, "name": f"name {each}", "score": each / 7, "tags": ["a", "b"]} for each in range(20_000)]


@microdelay.trace
def handle(number: int) -> int:
    made = json.dumps(rows).encode() if mode == "slow" else orjson.dumps(rows)  # found
    return len(made) + session.get(f"{service}/order/{number}?ms=5").status_code


for number in range(8):
    handle(number)
