"""A list of a megabyte is fetched to see whether the service answers (slow), or to use all of it (near)."""

import sys

import requests

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()


@microdelay.trace
def handle(number: int) -> int:
    if mode == "slow":
        answer = session.get(f"{service}/orders/{number}?ms=10&size=1500000")  # found
        return answer.status_code
    rows = session.get(f"{service}/orders/{number}?ms=10&size=1500000&gzip=1").json()["rows"]
    return sum(row["id"] for row in rows)


for number in range(8):
    handle(number)
