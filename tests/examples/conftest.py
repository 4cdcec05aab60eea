"""The language model that the example agents talk to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from tests.examples.running import EXAMPLES


@pytest.fixture(scope="session")
def language_model() -> Iterator[dict[str, str]]:
    """Start the examples' language model in a hurry, and give the environment in which they find it."""
    command = [sys.executable, str(EXAMPLES / "llm_server.py"), "--pace", "0.2"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        yield os.environ | {"OPENAI_BASE_URL": address, "OPENAI_API_KEY": "sk-local"}
        process.stdin.close()
