"""The first request imports and constructs what all need (slow), or the program does before it (near)."""

import sys

import requests

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()
kept = []


def client():
    if not kept:
        import httpx
        import sqlalchemy  # found

        kept.append((httpx.Client(), sqlalchemy))
    return kept[0][0]


if mode == "near":
    client()


@microdelay.trace
def handle(number: int) -> None:
    client().get(f"{service}/order/{number}?ms=10")


for number in range(12):
    handle(number)
