"""The docs: every verb, rule and error is in them, every link leads somewhere, the examples in them run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from microdelay import commands, errors
from microdelay.diagnose.diagnosis import Diagnosis
from microdelay.diagnose.rule import rules
from microdelay.record.imports import watched

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEXT = {page: page.read_text() for page in PAGES}
NO_LETTER = r"[\W_]+"
PROBES = "".join(text for page, text in TEXT.items() if page.parent.name == "probes")

KNOWN_AS = {
    "_frozen_importlib": "a module being loaded inside a function",
    "agents": "OpenAI Agents SDK",
    "argon2": "argon2-cffi",
    "concurrent": "ThreadPoolExecutor",
    "google": "protobuf",
    "redis": "redis-py",
    "valkey": "valkey-py",
}
"""Modules by the names that people know, where these are others."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", TEXT[page]):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("verb", commands.names())
def test_every_verb_is_in_the_readme(verb: str):
    assert f"microdelay {verb}" in TEXT[ROOT / "README.md"]


def test_every_option_of_run_is_on_the_page_of_recording(microdelay):
    options = set(re.findall(r"--[a-z][a-z-]+", microdelay("run", "--help").stdout)) - {"--help", "--output"}
    assert "--trace-root" in options
    assert not [option for option in options if f"`{option}" not in TEXT[ROOT / "docs" / "recording.md"]]


@pytest.mark.parametrize("benchmark", sorted(path.name for path in (ROOT / "benchmarks").glob("*.py")))
def test_every_benchmark_is_on_the_page_of_what_it_measures(benchmark: str):
    assert any(f"benchmarks/{benchmark}" in text for page, text in TEXT.items() if page.parent == ROOT / "docs")


@pytest.mark.parametrize("library", sorted({name.partition(".")[0] for name in watched()}))
def test_every_library_that_is_watched_is_on_a_page_of_the_probes(library: str):
    known = KNOWN_AS.get(library, library)
    assert re.search(rf"\b{re.sub(NO_LETTER, ' ', known)}\b", re.sub(NO_LETTER, " ", PROBES), re.IGNORECASE), known


@pytest.mark.parametrize("rule", sorted(rules()))
def test_every_rule_has_a_page_and_a_line_in_the_changelog(rule: str):
    assert (ROOT / "docs" / "rules" / f"{rule}.md").exists()
    assert f"`{rule}`" in (ROOT / "CHANGELOG.md").read_text()


def test_every_error_is_drawn_in_the_tree():
    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            assert name in (errors.__doc__ or "")


def test_every_name_of_the_json_report_is_documented(microdelay, program):
    program("import time\nfor i in range(3):\n    time.sleep(0.001)\n")
    microdelay("run", "--no-report", "-o", "a.mdr", "program.py")
    report = json.loads(microdelay("diagnose", "--format", "json", "a.mdr").stdout)
    page = TEXT[ROOT / "docs" / "formats.md"]
    for name in report:
        assert f"`{name}`" in page, name
    assert Diagnosis.__doc__


def test_tutorial_is_true(microdelay, program, service):
    """The tutorial's program, run against a service that answers as the example's world does."""
    blocks = re.findall(r"```python\n(.*?)```", TEXT[ROOT / "docs" / "tutorial.md"], re.S)
    slow = blocks[0].replace("http://127.0.0.1:9000", service)
    remedy = blocks[1].replace("http://127.0.0.1:9000", service)
    head, tail = slow.index("    weather ="), slow.index("    return")
    line, body = remedy.strip().split("\n", 1)
    program(slow, "agent.py")
    program(f"{line}\n{slow[:head]}{body}\n{slow[tail:]}", "fixed.py")
    for name in ("agent", "fixed"):
        assert microdelay("run", "--no-report", "-o", f"{name}.mdr", f"{name}.py").returncode == 0
    found = json.loads(microdelay("compare", "--format", "json", "agent.mdr", "fixed.mdr").stdout)
    assert found["traces"] == {"before": 20, "after": 20}
    assert {each["rule"]: each["status"] for each in found["findings"]}["serial-calls"] == "gone"
