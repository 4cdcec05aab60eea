"""What of a URL, a statement or a value may be written down: shapes and keyed fingerprints, never the values."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable
from hashlib import blake2b
from urllib.parse import urlsplit

_KEY = os.urandom(16)
"""Of this process only and never written: without it a fingerprint of a short secret could be found by trying."""

TOKEN_BYTES = 2048
"""Bytes of a body that are searched for single values."""

MAX_TOKENS = 64
"""Single values kept of one request or answer."""

# A value: four characters or more, and not the name of a JSON member. Shorter ones coincide by chance.
_TOKEN = re.compile(rb"[A-Za-z0-9_.\-]{4,80}(?![A-Za-z0-9_.\-]*\"\s*:)")
# A path segment that names a resource rather than one of its instances: letters, or a version.
_PLAIN_SEGMENT = re.compile(r"[A-Za-z][A-Za-z_\-]{0,23}(\.[a-z]{1,5})?|[vV]?\d{1,2}(\.\d{1,2})?")
_SQL_LITERAL = re.compile(
    r"""'(?:[^']|'')*'            # a string
      | \$(\w*)\$.*?\$\1\$        # a dollar-quoted one
      | /\*.*?\*/ | --[^\n]*      # a comment: people put ids and mail addresses there
      | (?<![\w.$?:@"`\]])\d+(?:\.\d+)?(?:[eE][+-]?\d+)?  # a number, not part of a name
    """,
    re.VERBOSE | re.DOTALL,
)
_SQL_TABLE = re.compile(r"\b(?:from|into|update|table|join)\s+(?:if\s+(?:not\s+)?exists\s+)?([\w.\"`\[\]]+)", re.I)
_SQL_PARAMETER_LIST = re.compile(r"\(\s*\?(?:\s*,\s*\?)+\s*\)")

MAX_QUERY_CHARACTERS = 2000
"""Of a statement; beyond it the shape is known."""


def fingerprint(*parts: object) -> int:
    """Give a keyed 63-bit fingerprint of bytes, strings and other values (by their `repr`); never 0."""
    digest = blake2b(key=_KEY, digest_size=8)
    for part in parts:
        data = part if isinstance(part, (bytes, bytearray, memoryview)) else _text(part).encode("utf-8", "replace")
        digest.update(data)
        digest.update(b"\x00")
    return (int.from_bytes(digest.digest(), "little") >> 1) or 1


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


@functools.lru_cache(4096)
def _token_fingerprint(token: bytes) -> int:
    return fingerprint(token)


def tokens(data: bytes | None) -> Iterable[int]:
    """Fingerprint the single values at the start of a body, bounded in bytes and in number."""
    if not data:
        return ()
    found = dict.fromkeys(_TOKEN.findall(data[:TOKEN_BYTES]))
    return [_token_fingerprint(token) for token in list(found)[:MAX_TOKENS]]


def path(raw: str) -> str:
    """Keep the segments of a URL path that name a resource; every other one becomes `{}`."""
    segments = raw.split("/")
    return "/".join(part if not part or _PLAIN_SEGMENT.fullmatch(part) else "{}" for part in segments) or "/"


@functools.lru_cache(4096)
def url(raw: str) -> tuple[str, str, int, str]:
    """Split into scheme, host, port and redacted path; user, password, query and fragment are left out."""
    try:
        parts = urlsplit(raw)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
        return parts.scheme, parts.hostname or "", port, path(parts.path)
    except ValueError:
        return "", "", 0, "{}"


@functools.lru_cache(4096)
def query(raw: str) -> str:
    """Take the literals and comments out of an SQL statement and fold its white space."""
    bare = _SQL_LITERAL.sub(
        lambda match: "" if match.group()[:2] in ("--", "/*") else "?", raw[: MAX_QUERY_CHARACTERS * 2]
    )
    folded = " ".join(bare.split())
    return _SQL_PARAMETER_LIST.sub("(?, …)", folded)[:MAX_QUERY_CHARACTERS]


@functools.lru_cache(4096)
def query_summary(raw: str) -> str:
    """Name a statement as OpenTelemetry's `db.query.summary` does: the operation and its first table."""
    text = query(raw)
    operation = text.split(" ", 1)[0].upper()[:20] or "SQL"
    table = _SQL_TABLE.search(text)
    return f"{operation} {table.group(1).strip(chr(34) + '`[]')}" if table else operation
