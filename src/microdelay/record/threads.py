"""Waiting until a thread of ours is really gone: a fork that finds it still ending is one of a threaded program."""

from __future__ import annotations

import os
from time import sleep  # before the probe of time replaces it

PAUSE_SECONDS = 0.0001
MAX_PAUSES = 1_000
"""Between two looks whether the thread is gone, and how many of them: it takes one or two, on a busy machine some."""


def wait_for_end(native_id: int) -> None:
    """Wait until the operating system knows nothing more of a thread that has run to its end (Linux)."""
    path = f"/proc/self/task/{native_id}"
    for _ in range(MAX_PAUSES):
        if not native_id or not os.path.exists(path):
            return
        sleep(PAUSE_SECONDS)
