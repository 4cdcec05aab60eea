"""Each kind of request imports its own modules when the first of it comes (slow), or the program does at its start."""

import importlib
import sys

import requests

import microdelay

service, mode = sys.argv[1:3]
session = requests.Session()
kinds = ["sqlalchemy", "httpx", "pydantic", "fastapi"]
if mode == "near":
    for kind in kinds:
        importlib.import_module(kind)


@microdelay.trace
def handle(kind: str) -> None:
    importlib.import_module(kind)  # found
    session.get(f"{service}/render/{kind}?ms=10")


for each in kinds:
    handle(each)
