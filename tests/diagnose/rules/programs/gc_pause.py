"""A large store of objects lies in the collector's way on each request (slow), or is frozen (near)."""

import gc
import sys

import requests

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()
store = [{"id": each, "tags": [each]} for each in range(200_000)]
if mode == "near":
    gc.collect()
    gc.freeze()


@microdelay.trace
def handle(number: int) -> int:
    answer = session.get(f"{service}/order/{number}?ms=5").status_code
    loops = [[] for _ in range(2_000)]
    for each in loops:
        each.append(each)
    gc.collect()  # found
    return answer


for number in range(8):
    handle(number)
