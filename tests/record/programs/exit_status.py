"""A status given to sys.exit, in a thread and at the end."""

import sys
import threading
import time


def leave():
    time.sleep(0.001)
    sys.exit(5)


thread = threading.Thread(target=leave)
thread.start()
thread.join()
time.sleep(0.001)
sys.exit("three" if len(sys.argv) > 9 else 7)
