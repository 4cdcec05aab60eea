"""The user's source as a recording keeps it: what names and syntax say, without what literals and comments say.

A diagnosis reads the source of the program that was recorded, which may have been changed since: the usual way to fix a
program is to edit it. Every masked character takes as many bytes as before, so that lines and columns stay.
"""

from __future__ import annotations

import io
import os
import re
import time
import tokenize
from collections.abc import Iterable, Iterator

MAX_BYTES = 512 * 1024
"""Of one file; a longer one is generated, and nobody fixes it by hand."""

MAX_SECONDS = 0.5
"""That a program's end is held up for its sources; a hundred modules take half of it."""

_KEPT = re.compile(r"""(['"])[A-Za-z_]{1,24}\1""")  # a key that looks like a name
IGNORING = re.compile(r"#\s*microdelay:\s*ignore\[([\w\s,-]*)\](.*)$")
"""A comment that is meant for the diagnosis, and is kept: rules, and the reason why their findings stay."""

_STRING = re.compile(r"([A-Za-z]*)('''|\"\"\"|'|\")(.*)\2", re.DOTALL)
_FSTRING_START = getattr(tokenize, "FSTRING_START", -1)
_FSTRING_END = getattr(tokenize, "FSTRING_END", -1)

Position = tuple[int, int]


def sources(files: Iterable[str], unchanged_since_ns: int) -> dict[str, str]:
    """Give the masked text of files, but for those changed since (Unix time, ns): that is not what ran."""
    found: dict[str, str] = {}
    until = time.monotonic() + MAX_SECONDS
    for file in files:
        if time.monotonic() > until:
            break
        try:
            stat = os.stat(file)
            if stat.st_size <= MAX_BYTES and stat.st_mtime_ns <= unchanged_since_ns:
                with tokenize.open(file) as opened:
                    found[file] = masked(opened.read())
        except (OSError, SyntaxError, ValueError, tokenize.TokenError):
            continue  # gone, or no Python: a diagnosis then says that the source is not there
    return found


def masked(text: str) -> str:
    """Mask the literals and comments of a module. Raises SyntaxError or tokenize.TokenError if it is no Python."""
    lines = _lines(text)
    for kind, start, end in reversed(list(_parts(text))):
        part = _slice(lines, start, end)
        if kind == tokenize.COMMENT and IGNORING.match(part):
            continue
        _put(lines, start, end, _string(part) if kind == tokenize.STRING else part[:1] + _covered(part[1:]))
    return "".join(lines)


def _parts(text: str) -> Iterator[tuple[int, Position, Position]]:
    """Give kind, start and end of each literal and comment to mask.

    An f-string, which Python gives in parts from 3.12 on, is one literal. Keys (`answer["next"]`, `{"next": token}`)
    are left: they tell one item of an answer from another.
    """
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    depth, begun = 0, (0, 0)
    for number, token in enumerate(tokens):
        if token.type == _FSTRING_START:
            begun = begun if depth else token.start
            depth += 1
        elif token.type == _FSTRING_END:
            depth -= 1
            if not depth:
                yield tokenize.STRING, begun, token.end
        elif not depth and token.type == tokenize.COMMENT:
            yield token.type, token.start, token.end
        elif not depth and token.type == tokenize.STRING:
            before, after = tokens[number - 1].string, tokens[number + 1].string
            is_key = (before == "[" and after == "]") or (before in ("{", ",") and after == ":")
            if not (is_key and _KEPT.fullmatch(token.string)):
                yield token.type, token.start, _end(token)


def _end(token: tokenize.TokenInfo) -> Position:
    """Give where a literal ends; of the last of several lines Python 3.12.1 counts the bytes, not the characters."""
    (row, column), (*others, last) = token.start, token.string.split("\n")
    return row + len(others), len(last) if others else column + len(last)


def _string(literal: str) -> str:
    match = _STRING.fullmatch(literal)
    if match is None:
        return _covered(literal)
    prefix, quote, content = match.groups()
    content = _around_code(content) if "f" in prefix.lower() else _covered(content)
    return f"{prefix}{quote}{content}{quote}"


def _around_code(content: str) -> str:
    """Mask an f-string but for what stands in its braces: that is code, and decides what the string is made of."""
    kept, depth, at = [], 0, 0
    while at < len(content):
        pair = content[at : at + 2]
        if not depth and pair in ("{{", "}}"):
            kept.append("xx")
            at += 2
            continue
        depth += content[at] == "{"
        kept.append(content[at] if depth else _covered(content[at]))
        depth -= content[at] == "}"
        at += 1
    return "".join(kept)


def _covered(text: str) -> str:
    return "".join(each if each.isspace() else "x" * len(each.encode("utf-8", "surrogatepass")) for each in text)


def _slice(lines: list[str], start: Position, end: Position) -> str:
    (first, left), (last, right) = start, end
    if first == last:
        return lines[first - 1][left:right]
    return "".join([lines[first - 1][left:], *lines[first : last - 1], lines[last - 1][:right]])


def _put(lines: list[str], start: Position, end: Position, text: str) -> None:
    (first, left), (last, right) = start, end
    whole = lines[first - 1][:left] + text + lines[last - 1][right:]
    lines[first - 1 : last] = _lines(whole)


def _lines(text: str) -> list[str]:
    """Split as the tokenizer does: a form feed ends no line, as it does for `str.splitlines`."""
    return io.StringIO(text).readlines()
