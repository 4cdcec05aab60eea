"""A loguru sink that posts each message; loguru's own enqueue would do."""

import requests
import world
from loguru import logger

TRUTH = {
    "findings": {"messages": {"rule": "chatty-logging", "at": ["sink", "start", "end"]}},
    "fixes": {"after_enqueue": ["messages"]},
}

sinks = requests.Session()
api = requests.Session()


def post(message):
    sinks.post(world.url("/logs"), data=str(message).encode())  # at: sink


logger.remove()
logger.add(post, filter=lambda record: record["extra"].get("to") == "direct")
logger.add(post, filter=lambda record: record["extra"].get("to") == "queue", enqueue=True)


def handle(n, journal):
    journal.info("start {}", n)  # at: start
    value = api.get(world.url(f"/stock/{n}")).json()["value"]
    journal.info("got {}", value)
    journal.info("end {}", n)  # at: end
    return value


def before(n):
    return handle(n, logger.bind(to="direct"))


def after_enqueue(n):
    return handle(n, logger.bind(to="queue"))


if __name__ == "__main__":
    world.main(globals())
