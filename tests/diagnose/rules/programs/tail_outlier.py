"""Every twentieth answer takes twenty times as long (slow), or all take about the same (near)."""

import sys

import requests

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()


@microdelay.trace
def handle(number: int) -> int:
    rare = "search?slow=20&slow_ms=200" if mode == "slow" else "find?"  # the service counts by path
    return session.get(f"{service}/{rare}&ms=10&q={number}").status_code  # found


for number in range(60):
    handle(number)
