"""An HTTP client is made for each call (slow), or once (near)."""

import sys

import httpx

import microdelay

service, mode = sys.argv[1:3]
kept = httpx.Client()


@microdelay.trace
def handle(number: int) -> int:
    if mode == "slow":
        with httpx.Client() as client:  # found
            return client.get(f"{service}/order/{number}?ms=10").status_code
    return kept.get(f"{service}/order/{number}?ms=10").status_code


for number in range(8):
    handle(number)
