"""Each number is pushed to the service by itself (slow), or orders are, which is no metric (near)."""

import sys

import requests

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()


def count(name: str, value: int) -> None:
    session.post(f"{service}/metrics/job/shop?ms=6", data=f"{name} {value}\n")  # found


@microdelay.trace
def handle(number: int) -> None:
    answer = session.get(f"{service}/order/{number}?ms=10")
    if mode == "slow":
        count("orders", 1)
        count("bytes", len(answer.content))
        count("status", answer.status_code)
    else:
        session.post(f"{service}/order/{number}/items?ms=6", json={"item": 1})
        session.post(f"{service}/order/{number}/payment?ms=6", json={"sum": 7})


for number in range(8):
    handle(number)
