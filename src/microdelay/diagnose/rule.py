"""What a rule is: a module in `rules/` that looks at a case and gives what it found, as plain data.

A rule module has `NAME` (what a user types), `SUMMARY` (one sentence for `microdelay rules`), `REMEDY` (what removes
it), `FIRES` and `SILENT` (drawn timelines, see `microdelay.testing`, on which it must find something and nothing) and
`find(case)`. It never changes the case; what its finding would save is computed afterwards, by the replay. A rule may
have `OVER`, the names of rules that say nothing of spans which it has told of: no wait is sold twice.
"""

from __future__ import annotations

import hashlib
import pkgutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Protocol

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import Verdict
from microdelay.diagnose.edits import Edit
from microdelay.errors import UsageError
from microdelay.spans import Place, Span


@dataclass(frozen=True, slots=True)
class Saving:
    """Nanoseconds saved in each trace on average: at least, most likely, at most."""

    low: int = 0
    expected: int = 0
    high: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """One micro-delay at one place in the code.

    `spans` are the evidence; `edits` what the remedy changes, in the recorded program; `operations` the (kind, name)
    of the spans that it costs, by which a later recording is compared. `count` is how often it was seen in all
    `traces` together, `total_ns` what those spans took. `after_others` says that it saves nothing alone, and its
    saving only once the other findings are remedied (a call that blocks the loop gains nothing from running together).
    `extra_calls` is how many calls more a trace makes with the remedy; `cautions` are sentences to read before it.
    `once` says that a process pays it once, however many traces it runs: it is no part of what all remedies save.
    """

    rule: str
    where: Place
    kind: str
    what: str
    remedy: str
    spans: Sequence[Span]
    edits: Sequence[Edit]
    traces: int
    snippet: str = ""
    dependence: Verdict | None = None
    places: Sequence[Place] = ()
    operations: frozenset[tuple[str, str]] = frozenset()
    count: int = 0
    total_ns: int = 0
    median_ns: int = 0
    saving: Saving = field(default_factory=Saving)
    predicted_ns: int = 0
    after_others: bool = False
    once: bool = False
    ordinal: int = 0
    extra_calls: float = 0.0
    cautions: Sequence[str] = ()

    @property
    def id(self) -> str:
        """The same for the same delay at the same place in the next recording, wherever its line has moved to."""
        file = "/".join(self.where.file.split("/")[-2:])
        parts = [self.rule, file, self.where.function, *sorted(name for _, name in self.operations)]
        number = f"-{self.ordinal + 1}" if self.ordinal else ""
        return f"{self.rule}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:8]}{number}"


class Rule(Protocol):
    """A module in `rules/`."""

    NAME: str
    SUMMARY: str
    REMEDY: str
    FIRES: Mapping[str, str]
    SILENT: Mapping[str, str]

    def find(self, case: Case) -> Iterable[Finding]:
        """Give what this rule finds in a case."""


@cache
def rules() -> dict[str, Rule]:
    """Give every rule under its name: each module in `rules/` is one."""
    package = import_module("microdelay.diagnose.rules")
    found: dict[str, Rule] = {}
    for each in pkgutil.iter_modules(package.__path__):
        rule: Rule = import_module(f"{package.__name__}.{each.name}")
        found[rule.NAME] = rule
    return found


def precedence(chosen: Iterable[Rule]) -> dict[str, frozenset[str]]:
    """Give for each rule the names of those that it goes over."""
    return {rule.NAME: frozenset(getattr(rule, "OVER", ())) for rule in chosen}


def chosen(only: Sequence[str] = (), ignore: Sequence[str] = ()) -> list[Rule]:
    """Give the rules to run. Raises UsageError for a name that no rule has."""
    known = rules()
    for name in (*only, *ignore):
        if name not in known:
            raise UsageError(f"unknown rule {name!r}; the rules are: {', '.join(sorted(known))}")
    return [rule for name, rule in sorted(known.items()) if (not only or name in only) and name not in ignore]
