"""Dies by the signal itself."""

import os
import signal
import time

print("before", flush=True)
time.sleep(0.001)
os.kill(os.getpid(), signal.SIGTERM)
