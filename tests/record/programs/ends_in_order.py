"""Handlers of atexit, unraisable errors and daemon threads at the end."""

import atexit
import threading
import time


class Raising:
    def __del__(self):
        time.sleep(0.001)
        raise ValueError("in __del__")


def forever():
    while True:
        time.sleep(0.001)


def last():
    time.sleep(0.001)
    print("last")


atexit.register(last)
atexit.register(print, "second")
atexit.register(lambda: 1 / 0)
threading.Thread(target=forever, daemon=True).start()
kept = Raising()
Raising()
worker = threading.Thread(target=lambda: (time.sleep(0.02), print("worker")))
worker.start()
print("end of the script")
