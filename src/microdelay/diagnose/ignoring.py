"""Findings that somebody has decided to live with: in `microdelay.toml`, or in a comment at the finding's line.

    [[ignore]]
    finding = "serial-calls-1a2b3c4d"     # one finding, by the id that the report gives
    reason = "the service takes one request at a time"

    [[ignore]]
    rule = "cold-start"                   # a rule, in a file, in a function: what is given must fit
    file = "jobs/*.py"
    function = "nightly"
    reason = "runs at night"

    answer = client.get(url)  # microdelay: ignore[new-connection-per-call] one call a day

Each gives a reason. An entry that fits no finding any more is said, so that the list does not outlive its reasons.
"""

from __future__ import annotations

import os
import re
import tokenize
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

from microdelay.diagnose.rule import Finding, rules
from microdelay.errors import UsageError
from microdelay.record.source import IGNORING, masked
from microdelay.spans import Place

FILE = "microdelay.toml"

_MARK = "microdelay:"

_KEYS = ("finding", "rule", "file", "function", "reason")


@dataclass(frozen=True, slots=True)
class Entry:
    """One decision: what it fits, its reason, and where it stands (a number in a file, or a line of code)."""

    reason: str
    stands: str
    finding: str = ""
    rule: str = ""
    file: str = ""
    function: str = ""

    def fits(self, finding: Finding) -> bool:
        """Tell whether all that the entry gives is so of a finding."""
        where = finding.where
        return (
            self.finding in ("", finding.id)
            and self.rule in ("", finding.rule)
            and (not self.file or fnmatch(where.file, self.file) or fnmatch(where.file, f"*/{self.file}"))
            and self.function in ("", where.function, where.function.rpartition(".")[2])
        )

    @property
    def about(self) -> str:
        """What it is about, in short."""
        is_comment = bool(self.file) and self.stands.startswith(f"{self.file}:")
        parts = (self.rule, "" if is_comment else self.file, self.function)
        return self.finding or " ".join(each for each in parts if each)


@dataclass(frozen=True, slots=True)
class Ignored:
    """A finding that is left out of a report, and by which decision."""

    finding: Finding
    entry: Entry


def read(path: str = "") -> list[Entry]:
    """Read a list of decisions; without a path, `microdelay.toml` of the working folder if there is one.

    Raises UsageError for a file that cannot be read, and for an entry that is not as it should be.
    """
    if not path and not os.path.isfile(FILE):
        return []
    path = path or FILE
    try:
        with open(path, "rb") as opened:
            told = tomllib.load(opened)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    listed = told.get("ignore", [])
    if not isinstance(listed, list):
        raise UsageError(f"{path}: write each entry under [[ignore]], in two pairs of brackets")
    return [_entry(path, number, each) for number, each in enumerate(listed, 1)]


def _entry(path: str, number: int, told: Any) -> Entry:
    stands = f"{path}, entry {number}"
    if not isinstance(told, dict) or not all(isinstance(value, str) for value in told.values()):
        raise UsageError(f"{stands}: an entry is made of {', '.join(_KEYS)}, each a text")
    unknown = sorted(set(told) - set(_KEYS))
    if unknown:
        raise UsageError(f"{stands}: unknown key {unknown[0]!r}; known are {', '.join(_KEYS)}")
    if not told.get("reason", "").strip():
        raise UsageError(f'{stands}: gives no reason; add: reason = "why this stays as it is"')
    if not any(told.get(key) for key in _KEYS[:-1]):
        raise UsageError(f"{stands}: fits everything; give a finding, a rule, a file or a function")
    _known(told.get("rule", ""), stands)
    return Entry(stands=stands, **told)


def _known(rule: str, stands: str) -> None:
    if rule and rule not in rules():
        raise UsageError(f"{stands}: unknown rule {rule!r}; the rules are: {', '.join(sorted(rules()))}")


def ignored(
    findings: Sequence[Finding], entries: Sequence[Entry], sources: Mapping[str, str], ran: Collection[str]
) -> tuple[list[Ignored], list[Entry]]:
    """Give the findings that entries or comments in the code say to ignore, and which of these fit none.

    Comments are looked for in the code as it was recorded, and as it is now where the line is the same but for them.
    Of entries about rules that did not run (`ran` did) it is not known whether they fit. Raises UsageError for a
    comment without a reason.
    """
    inline = list(_inline(sources, {finding.where.file for finding in findings}))
    found: list[Ignored] = []
    for finding in findings:
        entry = next((each for each in entries if each.fits(finding)), None)
        entry = entry or next((each for line, each in inline if _is_at(finding, line, each)), None)
        if entry is not None:
            found.append(Ignored(finding, entry))
    used = {each.entry for each in found}
    return found, [e for e in (*entries, *(each for _, each in inline)) if e not in used and _ran(e, ran)]


def _ran(entry: Entry, ran: Collection[str]) -> bool:
    rule = entry.rule or re.sub(r"-[0-9a-f]{8}(-\d+)?$", "", entry.finding)
    return not rule or rule in ran


def _is_at(finding: Finding, line: int, entry: Entry) -> bool:
    where = finding.where
    return entry.rule == finding.rule and entry.file == where.file and _covers(where, line)


def _covers(where: Place, line: int) -> bool:
    return where.line <= line <= max(where.line, where.end_line)


def _inline(sources: Mapping[str, str], files: Iterable[str]) -> Iterator[tuple[int, Entry]]:
    """Give the comments in the code, each with its line; one that stands in the recording and the file comes once."""
    for file in sorted({*sources, *files}):
        now = _now(file)
        if _MARK not in sources.get(file, "") and not now:
            continue
        recorded = sources.get(file, "").splitlines()
        for number in range(1, max(len(recorded), len(now)) + 1):
            then = recorded[number - 1] if number <= len(recorded) else ""
            today = now[number - 1] if number <= len(now) else ""
            same = not recorded or _without_comment(then) == _without_comment(today)
            for text in dict.fromkeys((today if same else "", then)):
                if found := IGNORING.search(text):
                    yield from ((number, each) for each in _entries(file, number, found[1], found[2]))
                    break


def _entries(file: str, line: int, names: str, reason: str) -> Iterator[Entry]:
    stands = f"{file}:{line}"
    if not reason.strip():
        raise UsageError(f"{stands}: `# microdelay: ignore[{names}]` gives no reason; write it behind the bracket")
    for name in names.split(","):
        _known(name.strip(), stands)
        yield Entry(reason.strip(), stands, rule=name.strip(), file=file)


def _without_comment(line: str) -> str:
    return line.partition("#")[0].rstrip()


def _now(file: str) -> list[str]:
    """Give the lines of a file as a recording would have them; none where it has no comment of ours, or is gone."""
    try:
        with tokenize.open(file) as opened:
            text = opened.read()
        return masked(text).splitlines() if _MARK in text else []
    except (OSError, SyntaxError, ValueError, tokenize.TokenError):
        return []
