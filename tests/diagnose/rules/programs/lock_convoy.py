"""Threads ask a service while they hold the lock of a table (slow), or take it for the table only (near)."""

import sys
import threading

import requests

import microdelay

service, mode = sys.argv[1:3]
lock = threading.Semaphore(1)
table = {}


def fetch(number: int, part: int) -> None:
    if mode == "slow":
        with lock:  # found
            table[number, part] = requests.get(f"{service}/part/{number}/{part}?ms=20").status_code
        return
    answer = requests.get(f"{service}/part/{number}/{part}?ms=20").status_code
    with lock:
        table[number, part] = answer


@microdelay.trace
def handle(number: int) -> None:
    threads = [threading.Thread(target=fetch, args=(number, part)) for part in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()


for number in range(5):
    handle(number)
