"""The page of the sinks: each is on it, and its example runs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from microdelay.remedy import sinks

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "sinks.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
TABLE = PAGE[PAGE.index("| sink | what it sends") : PAGE.index("## Answers over HTTP")]


@pytest.mark.parametrize("name", [name for name in sinks.__all__ if hasattr(getattr(sinks, name), "send")])
def test_every_sink_is_in_the_table(name):
    assert name == "Sink" or f"`{name}`" in TABLE


def test_every_extra_that_the_page_names_can_be_installed():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {*re.findall(r"\| `(\w+)`(?: for \w+)? \|$", TABLE, re.MULTILINE), "zstd"}
    assert named == {"kafka", "otlp", "redis", "zstd"}
    assert named <= extras.keys()


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_runs(number, http, run_script):
    result = run_script(EXAMPLES[number].replace("http://127.0.0.1:9000", http.url))
    assert (result.returncode, result.stderr) == (0, "")
    [request] = http.requests
    assert json.loads(request.body)["message"] == "order shipped"
