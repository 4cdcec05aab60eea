"""Blocks signals to wait for them: no thread of ours may take them."""

import os
import signal
import time

signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1, signal.SIGTERM})
for _ in range(3):
    time.sleep(0.3)
    os.kill(os.getpid(), signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGTERM)
    print(signal.sigwait({signal.SIGUSR1}), signal.sigwait({signal.SIGTERM}))
