"""What a program can see of itself and of its process."""

import asyncio
import gc
import inspect
import os
import signal
import sys
import threading
import time

import __main__

print(sys.argv, sys.path, sys.flags, sys.executable)
print(sorted(key for key in os.environ if key != "_"), os.environ.get("PYTHONPATH"))
print(sorted(vars(__main__)), __main__.__spec__, __main__.__file__, __name__, __doc__)
print(threading.active_count(), [thread.name for thread in threading.enumerate()], len(os.listdir("/proc/self/fd")) < 9)
print([signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE)])
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), gc.isenabled(), gc.get_threshold(), gc.callbacks)
print(sys.gettrace(), sys.getprofile(), sys.getrecursionlimit(), sys.getswitchinterval(), sys.excepthook)
print(os.getcwd(), os.umask(0o022), sys.stdout.encoding, sys.stdout.line_buffering, sys.warnoptions)
print(inspect.currentframe().f_back, [frame.function for frame in inspect.stack()])
with open(os.devnull) as opened:
    print("the lowest free descriptor is", opened.fileno())


async def stack():
    time.sleep(0.001)
    return [
        frame.f_code.co_name for frame in asyncio.current_task().get_stack() if frame.f_code.co_filename == __file__
    ]


time.sleep(0.001)
print(asyncio.run(stack()), threading.active_count())
