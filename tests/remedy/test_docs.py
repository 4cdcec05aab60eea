"""Every example in docs/remedies.md, docs/log-buffer.md and docs/cache.md runs, against a real log service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = [
    example
    for page in ("remedies.md", "log-buffer.md", "cache.md")
    for example in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_example_runs(number, service, run_script, tmp_path):
    example = EXAMPLES[number].replace("/var/spool/my-agent", str(tmp_path / "spool"))
    result = run_script(example.replace("http://127.0.0.1:9000/logs", service.url))
    assert (result.returncode, result.stderr) == (0, "")
    for printed in re.findall(r"print\(.*\)  # (.+)", EXAMPLES[number]):
        assert printed in result.stdout
    if "127.0.0.1:9000" in EXAMPLES[number]:
        [record] = service.records
        assert record["message"].startswith("order")
        assert record["customer"] == "acme"
