"""Plain threads, started together and joined: as concurrent as asyncio, in the style of 2005."""

import threading
import urllib.request

import world

TRUTH = {"also": ["new-connection-per-call"]}


def before(n):
    results = {}

    def load(what):
        with urllib.request.urlopen(world.url(f"/{what}/{n}")) as answer:
            results[what] = len(answer.read())

    threads = [threading.Thread(target=load, args=(what,)) for what in ("weather", "finance", "crm")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(results.items())


if __name__ == "__main__":
    world.main(globals())
