"""A request that is refused is sent five times more (slow), or an unsteady service is asked once more (near)."""

import sys
import time

import requests

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()


def fetch(url: str) -> int:
    for attempt in range(6):
        status = session.get(url).status_code  # found
        if status < 400:
            break
        time.sleep(0.001 * 2**attempt)
    return status


@microdelay.trace
def handle(number: int) -> int:
    if mode == "slow":
        return fetch(f"{service}/refused/{number}?ms=10&status=403")
    return fetch(f"{service}/unsteady/{number}?ms=10&status=503&fail=1")


for number in range(6):
    handle(number)
