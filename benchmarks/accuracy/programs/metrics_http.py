"""A counter and a timer are posted at each step, and the step waits for it."""

import requests
import world

TRUTH = {
    "findings": {"points": {"rule": "chatty-metrics", "at": ["post", "count", "time"]}},
    "fixes": {"after_buffer": ["points"]},
}

push = requests.Session()
api = requests.Session()


class Gauge:
    def send(self, name, value):
        push.post(world.url("/metrics"), json={"name": name, "value": value}).raise_for_status()  # at: post


class Buffered(Gauge):
    def __init__(self):
        self.points = []

    def send(self, name, value):
        self.points.append({"name": name, "value": value})
        if len(self.points) >= 100:
            push.post(world.url("/metrics"), json=self.points)
            self.points.clear()


def handle(n, metrics):
    metrics.send("requests", 1)  # at: count
    value = api.get(world.url(f"/crm/{n}")).json()["value"]
    metrics.send("found", len(value))
    metrics.send("customer", n)
    metrics.send("seconds", 0.02)  # at: time
    return value


direct, buffered = Gauge(), Buffered()


def before(n):
    return handle(n, direct)


def after_buffer(n):
    return handle(n, buffered)


if __name__ == "__main__":
    world.main(globals())
