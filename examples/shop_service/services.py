"""What the shop needs, started in a process of its own (`backend.py`) unless it runs already.

with services.available(): ...     those that SHOP_DATABASE and its like name; else start them, and name them
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from server_process import serving

BACKEND = Path(__file__).with_name("backend.py")
STOP_TIMEOUT = 20.0  # seconds


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """The services for the length of the block: the environment that names them."""
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        environment = {"XDG_RUNTIME_DIR": folder} | os.environ
        with serving(
            "the shop's services", BACKEND, folder, environment=environment, stop_timeout=STOP_TIMEOUT
        ) as line:
            yield json.loads(line)


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
