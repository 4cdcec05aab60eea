"""A record as a syslog message (RFC 5424)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from microdelay.remedy.sinks.records import json_text
from microdelay.remedy.sinks.severity import severity
from microdelay.remedy.sinks.sink import Record

NIL: Final = "-"
PLACED: Final = frozenset({"time", "message", "level", "logger"})
"""Fields that are no structured data."""

_NO_NAME: Final = re.compile(r'[^!-~]|[=\]"]')
_ESCAPED: Final = re.compile(r'(["\\\]])')


def name(text: str, longest: int) -> str:
    """Text as the format allows it for names: printable ASCII without blanks, `=`, `]` and quotes, and not longer."""
    return _NO_NAME.sub("_", text)[:longest] or NIL


def message(record: Record, record_id: str, facility: int, origin: str, sd_id: str, max_bytes: int) -> bytes:
    """`origin` is what stands between the time and MSGID: host, program and process. Cut at `max_bytes`."""
    level, logger, seconds = record.get("level"), record.get("logger"), record.get("time")
    at = datetime.fromtimestamp(seconds if isinstance(seconds, int | float) else 0.0, UTC)
    stamp = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    kind = name(logger, 32) if isinstance(logger, str) else NIL
    parameters = {"id": record_id, **{key: value for key, value in record.items() if key not in PLACED}}
    data = " ".join(f'{name(key, 32)}="{_ESCAPED.sub(_escape, _text(value))}"' for key, value in parameters.items())
    head = f"<{facility * 8 + severity(level).syslog}>1 {stamp} {origin} {kind} "
    structured = f"[{sd_id} {data}]"
    if len(head) + len(structured.encode()) > max_bytes * 3 // 4:  # a cut within it would make it unreadable
        structured = f'[{sd_id} id="{record_id}" cut="true"]'
    text = _text(record.get("message", "")).encode()
    line = f"{head}{structured} ".encode() + (text if text.isascii() else b"\xef\xbb\xbf" + text)
    return line if len(line) <= max_bytes else line[:max_bytes].decode("utf-8", "ignore").encode()


def _escape(found: re.Match[str]) -> str:
    return "\\" + found[1]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json_text(value).decode()
