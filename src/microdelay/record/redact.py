"""What of a URL, a statement or a value may be written down: shapes and fingerprints, never the values.

Fingerprints stay in the process. The encoder numbers them in the order in which they come, and only these numbers are
written: nobody can find a short secret by trying, and Python's own hash is good enough, at a tenth of what a
cryptographic one takes.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

TOKEN_BYTES = 2048
"""Bytes of a body that are searched for single values."""

HASHED_BYTES = 128 * 1024
"""Of each end of a body that is fingerprinted: 0.3 ms in the program's own time; more would be felt."""

MAX_TOKENS = 64
"""Single values kept of one request or answer."""

# A value: four characters or more, and not the name of a JSON member. Shorter ones coincide by chance.
_TOKEN = re.compile(rb"[A-Za-z0-9_.\-]{4,80}(?![A-Za-z0-9_.\-]*\"\s*:)")
# A path segment that names a resource rather than one of its instances: words (also joined, also in camel case, but
# not letters that change case at random, as in a token), or a version.
_PLAIN_SEGMENT = re.compile(
    r"(?=.{1,24}(?:\.|$))[A-Z]?[a-z]+(?:[A-Z][a-z]{2,}|[_\-][A-Za-z]?[a-z]+)*(\.[a-z]{1,5})?|[A-Z]{1,8}"
    r"|[vV]\d{1,2}(\.\d{1,2})?|\d\.\d{1,2}"
)
_LITERAL = r"""(?<!\w)[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)  # PostgreSQL's string with backslashes
      | '(?:[^']|'')*(?:'|\Z)             # a string, also one that is cut
      | \$((?:[^\W\d]\w*)?)\$.*?(?:\$\1\$|\Z)  # a dollar-quoted one
      | /\*(?:[^*/]|/(?!\*)|\*(?!/)|/\*.*?(?:\*/|\Z))*(?:\*/|\Z)  # a comment: people put ids and addresses there;
                                         # PostgreSQL's nest
      | --[^\n]*
      | "(?:[^"]|"")*(?:"|\Z)             # a name, or in SQLite and MySQL a string
      | (?<![\w.$?:@"`\]])(?:0[xXoObB][0-9a-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)
                                         # a number, not part of a name
    """
_SQL_LITERAL = re.compile(_LITERAL, re.VERBOSE | re.DOTALL)
# In MySQL a backslash escapes in every string, double quotes too make one, and # begins a comment.
_MYSQL_LITERAL = re.compile(
    rf"""'(?:[^'\\]|\\.|'')*(?:'|\Z) | "(?:[^"\\]|\\.|"")*(?:"|\Z) | \#[^\n]* | {_LITERAL}""",
    re.VERBOSE | re.DOTALL,
)
BACKSLASH_SYSTEMS = frozenset({"mysql", "mariadb"})
"""Systems (`db.system.name`) whose statements are read so."""

# What stands before a double-quoted value; after VALUES all of them are.
_SQL_BEFORE_VALUE = re.compile(
    r"(?:[=<>|]|\b(?:like|glob|match|regexp|between|in|key|limit))\s*\(?\s*(?:\"[^\"]*\"\s*,\s*)*$", re.I
)
_SQL_TABLE = re.compile(r"\b(?:copy|from|into|update|table|join)\s+(?:if\s+(?:not\s+)?exists\s+)?([\w.\"`\[\]]+)", re.I)
_PARAMETER = r"(?:\?|%s|\$\d+|%\(\w+\)s|:\w+)(?:::[A-Za-z_][\w ]*(?:\[\])?)?"
_SQL_PARAMETER_LIST = re.compile(rf"\(\s*{_PARAMETER}(?:\s*,\s*{_PARAMETER})+\s*\)")
_SQL_LISTS = re.compile(r"\(\?, …\)(?:\s*,\s*\(\?, …\))+")

MAX_QUERY_CHARACTERS = 2000
"""Of a statement; beyond it the shape is known."""

MAX_TEXT = 2 * MAX_QUERY_CHARACTERS
"""Characters of a URL or statement that are kept in memory until they are redacted."""


def fingerprint(*parts: str | bytes | int) -> int:
    """Give a 64-bit fingerprint of texts, bytes and numbers, to be compared within the process; never 0."""
    return hash(parts) or 1


def tokens(data: bytes | None) -> Iterable[int]:
    """Fingerprint the single values at the start of a body, bounded in bytes and in number."""
    if not data:
        return ()
    found = dict.fromkeys(_TOKEN.findall(data[:TOKEN_BYTES]))
    return [hash(token) for token in itertools.islice(found, MAX_TOKENS)]


# Of a cookie the value, not its name nor what the browser is told of it.
_COOKIE = re.compile(r"(?:^|,\s*)[^=;,\s]+=([^;,]*)")
# Of an address the path and the query.
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.\-]*:)?//[^/?#\s]*", re.I)


def header_tokens(headers: Iterable[tuple[str, str]]) -> Iterable[int]:
    """Fingerprint the single values in the headers of an answer (cookies, where to go next)."""
    found: list[int] = []
    for name, value in headers:
        told = " ".join(_COOKIE.findall(value)) if name == "set-cookie" else _ADDRESS.sub(" ", value)
        found += tokens(told.encode("utf-8", "replace"))
    return found


_PLAIN_KINDS = (int, float, bool, type(None))
_STANDARD_MODULES = ("datetime", "decimal", "fractions", "uuid")
_unknown = itertools.count()


def body(data: bytes | bytearray) -> int:
    """Fingerprint a request's or answer's body: all of it, or its ends and its length where that would take long."""
    if len(data) <= 2 * HASHED_BYTES:
        return fingerprint(bytes(data))
    return fingerprint(len(data), bytes(data[:HASHED_BYTES]), bytes(data[-HASHED_BYTES:]))


def plain(value: object, depth: int = 2) -> object:
    """Reduce a value to one that can be written as text without running the program's code; bounded in size."""
    kind = type(value)
    if kind in _PLAIN_KINDS:
        return value
    if isinstance(value, (str, bytes)):
        return value if len(value) <= TOKEN_BYTES else (value[:TOKEN_BYTES], fingerprint(value))
    if kind.__module__ in _STANDARD_MODULES:
        return str(value)
    if depth and kind is dict:
        return [plain(each, depth - 1) for each in itertools.islice(value.values(), MAX_TOKENS)]  # type: ignore[attr-defined]
    if depth and (kind in (list, tuple) or kind.__module__ == "sqlite3"):  # its Row
        return [plain(each, depth - 1) for each in itertools.islice(value, MAX_TOKENS)]  # type: ignore[call-overload]
    return f"{kind.__name__} {next(_unknown)}"  # like no other, as nothing is known of it


def path(raw: str) -> str:
    """Keep the segments of a URL path that name a resource; every other one becomes `{}`."""
    return "/".join(map(_segment, raw.split("/"))) or "/"


@functools.lru_cache(4096)
def _segment(part: str) -> str:
    return part if not part or _PLAIN_SEGMENT.fullmatch(part) else "{}"


def url(raw: str) -> tuple[str, str, int, str]:
    """Split into scheme, host, port and redacted path; user, password, query and fragment are left out."""
    bare = raw.partition("?")[0].partition("#")[0]
    scheme, separator, rest = bare.partition("://")
    if not separator:
        return "", "", 0, path(bare)
    authority, slash, below = rest.partition("/")
    return *_origin(scheme, authority), path(slash + below)


@functools.lru_cache(1024)
def _origin(scheme: str, authority: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(f"{scheme}://{authority}")
        return parts.scheme, parts.hostname or "", parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    except ValueError:
        return "", "", 0


@functools.lru_cache(1024)
def query(raw: str, backslash: bool = False) -> str:
    """Take the literals and comments out of an SQL statement and fold its white space.

    With `backslash`, as MySQL reads it.
    """
    if backslash:
        bare = _MYSQL_LITERAL.sub(lambda match: "" if _is_comment(match.group()) else "?", raw[:MAX_TEXT])
    else:
        bare = _SQL_LITERAL.sub(_without_value, raw[:MAX_TEXT])
    folded = _SQL_PARAMETER_LIST.sub("(?, …)", " ".join(bare.split()))
    return _SQL_LISTS.sub("(?, …), …", folded)[:MAX_QUERY_CHARACTERS]


def _is_comment(literal: str) -> bool:
    return literal.startswith(("--", "/*", "#"))


def _without_value(match: re.Match[str]) -> str:
    literal = match.group()
    if _is_comment(literal):
        return ""
    if literal.startswith('"'):
        before, after = match.string[: match.start()], match.string[match.end() : match.end() + 1]
        is_name = literal.endswith('"') and (after == "." or before.endswith(".") or not _is_value_position(before))
        return literal if is_name else "?"
    return "?"


def _is_value_position(before: str) -> bool:
    return _SQL_BEFORE_VALUE.search(before[-200:]) is not None or "VALUES" in before.upper()


@functools.lru_cache(1024)
def query_summary(raw: str, backslash: bool = False) -> str:
    """Name a statement as OpenTelemetry's `db.query.summary` does: the operation and its first table."""
    text = query(raw, backslash)
    operation = text.split(" ", 1)[0].rstrip(";").upper()[:20] or "SQL"
    table = _SQL_TABLE.search(text)
    return f"{operation} {table.group(1).strip(chr(34) + '`[]')}" if table else operation
