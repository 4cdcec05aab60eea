"""Pages about the rules, made from the rules: `python -m microdelay.testing.rule_pages docs/rules`."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

from microdelay.diagnose.rule import Rule, rules

HEAD = "<!-- made by `python -m microdelay.testing.rule_pages docs/rules` from {source}; do not edit -->"


def pages() -> dict[str, str]:
    """Give the text of each rule's page under the name of its file."""
    return {f"{name}.md": page(rule) for name, rule in sorted(rules().items())}


def page(rule: Rule) -> str:
    """Give one rule's page: what it finds, its thresholds, where it fires and where it stays silent, the remedy."""
    module = sys.modules[getattr(rule, "__name__", "")]
    source = "src/" + module.__name__.replace(".", "/") + ".py"
    doc = inspect.getdoc(module) or ""
    parts = [
        f"# {rule.NAME}",
        HEAD.format(source=source),
        doc.partition("\n")[0],
        doc.partition("\n")[2].strip(),
        f"**Remedy:** {_code(rule.REMEDY)}",
        "## Thresholds",
        "\n".join(_thresholds(inspect.getsource(module))) or "None.",
        "## It fires",
        *_drawings(rule.FIRES),
        "## It stays silent",
        *_drawings(rule.SILENT),
        "How to read the drawings: see `microdelay.testing.draw`.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def write(folder: Path) -> None:
    """Write all pages into a folder, which is made if it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def _code(remedy: str) -> str:
    return f"`{remedy}`" if remedy.isidentifier() else remedy


def _thresholds(source: str) -> list[str]:
    """Give each named number with the sentence that stands below it: unit, reason, source."""
    found: list[str] = []
    statements = ast.parse(source).body
    for statement, below in pairwise(statements):
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or not isinstance(below, ast.Expr):
            continue
        target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
        if isinstance(target, ast.Name) and statement.value is not None and isinstance(below.value, ast.Constant):
            reason = " ".join(str(below.value.value).split())
            if _is_number(statement.value):
                found.append(f"- `{target.id}` = {_number(target.id, statement.value)}. {reason}")
            elif isinstance(statement.value, ast.Call):
                found.append(f"- `{target.id}` = `{ast.unparse(statement.value)}`. {reason}")
    return found


def _is_number(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and isinstance(value.value, (int, float))


def _number(name: str, value: ast.expr) -> str:
    assert isinstance(value, ast.Constant)
    assert isinstance(value.value, (int, float))
    if name.endswith("_NS"):
        return f"{value.value / 1e6:g} ms"
    return f"{value.value:.0%}" if name.endswith("_SHARE") else f"{value.value:g}"


def _drawings(drawings: Mapping[str, str]) -> list[str]:
    shown: list[str] = []
    for reason, drawing in drawings.items():
        timeline, _, source = drawing.partition("\n---\n")
        shown.append(f"{reason[0].upper()}{reason[1:]}:")
        shown.append(f"```text\n{textwrap.dedent(timeline).strip(chr(10)).rstrip()}\n```")
        if source:
            shown.append(f"```python\n{textwrap.dedent(source).strip()}\n```")
    return shown


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/rules"))
