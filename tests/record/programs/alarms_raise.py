"""Each alarm whose handler raises is seen by the program, wherever it strikes."""

import signal
import sqlite3
import sys


class AlarmError(Exception):
    pass


fired = lost = 0
armed = False


def handler(number, frame):
    global fired, armed
    if armed:
        armed = False
        fired += 1
        raise AlarmError


database = sqlite3.connect(":memory:")


def query():
    database.execute("select 1").fetchone()


def work():
    global armed, lost
    while fired < 300:
        try:
            armed = True
            while armed:
                query()
            lost += 1
        except AlarmError:
            pass


sys.unraisablehook = lambda hooked: print("swallowed", hooked)
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
work()
signal.setitimer(signal.ITIMER_REAL, 0)
print("lost", lost)
