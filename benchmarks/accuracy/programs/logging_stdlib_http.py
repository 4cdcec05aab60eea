"""The standard library's HTTPHandler: a new connection and a form for each record."""

import logging
import logging.handlers
import queue
from urllib.parse import urlsplit

import requests
import world

TRUTH = {
    "findings": {"records": {"rule": "chatty-logging", "at": ["one", "two", "three"]}},
    "fixes": {"after_queue": ["records"]},
    "also": ["new-connection-per-call"],
}

session = requests.Session()


def handler():
    return logging.handlers.HTTPHandler(urlsplit(world.url()).netloc, "/logs", method="POST")


audit = logging.Logger("audit", logging.INFO)
audit.addHandler(handler())

records = queue.Queue()
queued = logging.Logger("queued", logging.INFO)
queued.addHandler(logging.handlers.QueueHandler(records))
logging.handlers.QueueListener(records, handler()).start()


def handle(n, log):
    log.info("request %d", n)  # at: one
    crm = session.get(world.url(f"/crm/{n}")).json()
    log.info("customer %s", crm["value"])  # at: two
    log.warning("score is %.2f", crm["score"])  # at: three
    return crm["score"]


def before(n):
    return handle(n, audit)


def after_queue(n):
    return handle(n, queued)


if __name__ == "__main__":
    world.main(globals())
