"""Every example in docs/logging.md and docs/metrics.md runs, against a real log service."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLES = {
    f"{page}, line {text[: match.start()].count(chr(10)) + 1}": match[1]
    for page in ("logging.md", "metrics.md")
    for text in [(DOCS / page).read_text()]
    for match in re.finditer(r"```python\n(.*?)```", text, re.DOTALL)
}


@pytest.mark.parametrize("where", EXAMPLES)
def test_the_example_runs(where, service, run_script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example = EXAMPLES[where]
    result = run_script(example.replace("http://127.0.0.1:9000/logs", service.url))
    assert (result.returncode, result.stderr) == (0, "")
    for printed in re.findall(r"print\(.*\)  # (.+{.+)", example):
        assert printed in result.stdout
    if "127.0.0.1:9000" in example:
        [record] = service.records
        assert record["message"].startswith("order")
        assert record["customer"] == "acme"
    if "AuditHandler" in example:
        assert result.stdout == "audit: INFO:root:user kim logged in\n"
