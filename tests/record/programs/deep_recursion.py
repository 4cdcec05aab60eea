"""Recursion to the limit ends in the error that it always ended in, and what fits still fits."""

import json
import sqlite3
import sys
import time

sys.setrecursionlimit(400)
database = sqlite3.connect(":memory:")


def dive(depth, action):
    return action() if depth == 0 else dive(depth - 1, action)


def endless():
    time.sleep(0)
    database.execute("select 1").fetchone()
    return endless()


for _ in range(3):
    try:
        endless()
    except RecursionError as error:
        print(type(error), time.sleep(0), database.execute("select 2").fetchone())
print(dive(380, lambda: time.sleep(0)), dive(380, lambda: json.dumps("x" * 100_000))[:5])
print(dive(380, lambda: database.execute("select 1").fetchone()))
