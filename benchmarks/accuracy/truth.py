"""What is true of a program, as its file says: the table `TRUTH`, and the lines that the marks `# at: NAME` name.

The file is read, never imported: a tool in any language can do the same. README.md describes the table.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = Path(__file__).resolve().parent / "programs"

_MARK = re.compile(r"#\s*at:\s*([\w ,-]+?)\s*$")

KEYS = frozenset({"findings", "fixes", "dependent", "also", "runs", "in_flight", "needs", "quick", "cold"})
FINDING_KEYS = frozenset({"rule", "at", "verdict", "calls", "optional"})
VERDICTS = frozenset({"independent", "unknown", ""})


class TruthError(Exception):
    """A program's table or marks contradict themselves: the file, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Known:
    """One finding that is true: any of `rules` names it, at any of `lines` (none: anywhere in the file).

    `verdict` is what may be said of dependence: "independent", "unknown" (nobody can know), "" where none is due.
    `calls` are patterns of the names of the spans that it costs. One that is `optional` saves nothing, so that saying
    nothing of it is right, too: it counts for the gain only.
    """

    name: str
    rules: frozenset[str]
    lines: frozenset[int]
    verdict: str = ""
    calls: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Program:
    """One program: `fixes` names for each changed variant the findings that it remedies.

    `dependent` are pairs of sets of lines of which no tool may say that they could run together. `also` are rules of
    which a finding is true here, but small or beside the point: it counts neither for nor against.
    """

    name: str
    path: Path
    summary: str
    findings: Mapping[str, Known]
    fixes: Mapping[str, Sequence[str]]
    dependent: Sequence[tuple[frozenset[int], frozenset[int]]]
    also: frozenset[str]
    needs: frozenset[str]
    quick: bool

    @property
    def variants(self) -> list[str]:
        """Give the names of the functions that are one execution of the unit of work."""
        return ["before", *self.fixes]


def read(path: Path) -> Program:
    """Read one program. Raises TruthError."""
    text = path.read_text(encoding="utf-8")
    parsed = ast.parse(text)
    table = _table(path, parsed)
    lines = _marks(text)

    def at(names: Sequence[str]) -> frozenset[int]:
        for name in names:
            if name not in lines:
                raise TruthError(f"{path.name}: no line is marked with '# at: {name}'")
        return frozenset().union(*(lines[name] for name in names))

    functions = {node.name for node in parsed.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    findings = {name: _finding(path, name, given, at) for name, given in table.get("findings", {}).items()}
    fixes = table.get("fixes", {})
    for fix, remedied in fixes.items():
        if fix not in functions or not set(remedied) <= set(findings):
            raise TruthError(f"{path.name}: the fix {fix} is no function, or remedies what is not listed: {remedied}")
    if "before" not in functions:
        raise TruthError(f"{path.name}: there is no function before")
    return Program(
        name=path.stem,
        path=path,
        summary=(ast.get_docstring(parsed) or "").partition("\n")[0],
        findings=findings,
        fixes=fixes,
        dependent=[(at([first]), at([second])) for first, second in table.get("dependent", ())],
        also=frozenset(table.get("also", ())),
        needs=frozenset(table.get("needs", ())),
        quick=bool(table.get("quick")),
    )


def programs(names: Sequence[str] = ()) -> list[Program]:
    """Read the programs that are named, or all. Raises TruthError."""
    known = {path.stem: path for path in sorted(PROGRAMS.glob("*.py"))}
    for name in names:
        if name not in known:
            raise TruthError(f"no program {name!r} in {PROGRAMS}")
    return [read(known[name]) for name in (names or known)]


def _table(path: Path, parsed: ast.Module) -> dict[str, object]:
    for node in parsed.body:
        if isinstance(node, ast.Assign) and [ast.unparse(each) for each in node.targets] == ["TRUTH"]:
            table = ast.literal_eval(node.value)
            if unknown := set(table) - KEYS:
                raise TruthError(f"{path.name}: TRUTH has unknown keys: {', '.join(sorted(unknown))}")
            return table
    raise TruthError(f"{path.name}: there is no table TRUTH")


def _marks(text: str) -> dict[str, frozenset[int]]:
    lines: dict[str, set[int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if found := _MARK.search(line):
            for name in found[1].split(","):
                lines.setdefault(name.strip(), set()).add(number)
    return {name: frozenset(numbers) for name, numbers in lines.items()}


def _finding(path: Path, name: str, given: Mapping[str, object], at: object) -> Known:
    if unknown := set(given) - FINDING_KEYS:
        raise TruthError(f"{path.name}: {name} has unknown keys: {', '.join(sorted(unknown))}")
    rule, verdict = given["rule"], str(given.get("verdict", ""))
    if verdict not in VERDICTS:
        raise TruthError(f"{path.name}: {name} has the verdict {verdict!r}")
    rules = frozenset([rule] if isinstance(rule, str) else rule)
    lines = at(given.get("at", ()))
    return Known(name, rules, lines, verdict, tuple(given.get("calls", ())), bool(given.get("optional")))
