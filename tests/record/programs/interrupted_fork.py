"""A program that is interrupted while it forks: by a signal to the thread that does, and by one to another thread."""

import _thread
import os
import signal
import time


class AlarmError(Exception):
    pass


def ring(number, frame):
    raise AlarmError


def fork():
    if os.fork() == 0:
        os._exit(5)


def interrupted_by(strike, expected):
    """Fork with a look-up of a file's name, as who notes where the fork is would make, in whose middle `strike` is."""
    real = os.path.abspath

    def abspath(path):
        os.path.abspath = real
        strike()
        return real(path)

    os.path.abspath = abspath
    try:
        fork()
        os.path.abspath(__file__)  # where nobody looked
        print("not interrupted")
    except expected as error:
        print("interrupted", type(error).__name__)
    finally:
        os.path.abspath = real
        print(os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]))


signal.signal(signal.SIGALRM, ring)
signal.signal(signal.SIGINT, signal.default_int_handler)
time.sleep(0.001)
for number, expected in ((signal.SIGINT, KeyboardInterrupt), (signal.SIGALRM, AlarmError)):
    interrupted_by(lambda number=number: os.kill(os.getpid(), number), expected)
    interrupted_by(lambda number=number: _thread.interrupt_main(number), expected)
