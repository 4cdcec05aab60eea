"""After a job is started the program sleeps until it is surely done (slow), or keeps a rate between calls (near)."""

import sys
import time

import requests

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()


@microdelay.trace
def handle(number: int) -> int:
    if mode == "slow":
        session.post(f"{service}/jobs?ms=5", json={"number": number})
        time.sleep(0.15)  # found
        return session.get(f"{service}/jobs/{number}?ms=5").status_code
    for part in range(3):
        session.get(f"{service}/pages/{number}/{part}?ms=5")
        time.sleep(0.02)  # no more than fifty a second
    return 0


for number in range(6):
    handle(number)
