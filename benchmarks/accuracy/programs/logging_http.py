"""Each log record is posted on its own, by the thread that logs."""

import logging
import logging.handlers
import queue

import requests
import world

TRUTH = {
    "findings": {"records": {"rule": "chatty-logging", "at": ["emit", "read", "found", "done"]}},
    "fixes": {"after_queue": ["records"]},
    "quick": True,
}


class Remote(logging.Handler):
    def __init__(self):
        super().__init__()
        self.session = requests.Session()

    def emit(self, record):
        self.session.post(world.url("/logs"), json={"message": self.format(record)})  # at: emit


direct = logging.getLogger("shop.direct")
direct.setLevel(logging.INFO)
direct.propagate = False
direct.addHandler(Remote())

later = logging.getLogger("shop.later")
later.setLevel(logging.INFO)
later.propagate = False
waiting = queue.SimpleQueue()
later.addHandler(logging.handlers.QueueHandler(waiting))
listener = logging.handlers.QueueListener(waiting, Remote())

api = requests.Session()


def work(n, log):
    log.info("reading user %d", n)  # at: read
    user = api.get(world.url(f"/users/{n}")).json()
    log.info("found %s", user["name"])  # at: found
    for number in range(3):
        log.info("step %d of user %d", number, n)  # at: done
    return user["name"]


def before(n):
    return work(n, direct)


def after_queue(n):
    if listener._thread is None:
        listener.start()
    return work(n, later)


if __name__ == "__main__":
    world.main(globals())
