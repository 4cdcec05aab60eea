"""Waits and imports with no Python frame around them, and an exception that nobody catches."""

import _thread
import atexit
import queue
import threading
import time

items = queue.Queue()
event = threading.Event()
_thread.start_new_thread(event.wait, (0.01,))
_thread.start_new_thread(items.get, (True, 0.01))
_thread.start_new_thread(time.sleep, (0.001,))
atexit.register(time.sleep, 0.001)
atexit.register(event.wait, 0.001)
time.sleep(0.05)


def work():
    import graphlib

    graphlib.nothing()


work()
