"""What the shop needs, started in a process of its own (`backend.py`) unless it runs already.

with services.available(): ...     those that SHOP_DATABASE and its like name; else start them, and name them
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BACKEND = Path(__file__).with_name("backend.py")
STOP_TIMEOUT = 20.0  # seconds


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """The services for the length of the block: the environment that names them."""
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        process = subprocess.Popen(
            [sys.executable, str(BACKEND), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env={"XDG_RUNTIME_DIR": folder} | os.environ | {"MICRODELAY_OFF": "1"},
        )
        assert process.stdin
        assert process.stdout
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the services did not start: see their error above")
            yield json.loads(line)
        finally:
            process.stdin.close()
            try:
                process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            process.stdout.close()


@contextmanager
def available() -> Iterator[None]:
    if "SHOP_DATABASE" in os.environ:
        yield
        return
    with running() as environment:
        os.environ.update(environment)
        try:
            yield
        finally:
            for name in environment:
                del os.environ[name]
