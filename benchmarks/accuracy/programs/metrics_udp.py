"""StatsD over UDP: many small packets, for which nobody waits."""

import socket

import requests
import world

TRUTH = {}

statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
session = requests.Session()


def count(name, value=1):
    statsd.sendto(f"{name}:{value}|c".encode(), ("127.0.0.1", 9))


def before(n):
    count("requests")
    record = session.get(world.url(f"/crm/{n}")).json()
    for letter in record["value"]:
        count(f"letters.{letter}")
    count("done")
    return record["value"]


if __name__ == "__main__":
    world.main(globals())
