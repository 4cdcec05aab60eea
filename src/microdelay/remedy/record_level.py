"""How important an encoded record is: what "drop-debug" goes by."""

from __future__ import annotations

from typing import Final

MARK: Final = b'"level":"'

LEVELS: Final = {
    b"TRACE": 0, b"DEBUG": 1, b"INFO": 2, b"SUCCESS": 2, b"WARNING": 3, b"WARN": 3, b"ERROR": 4, b"CRITICAL": 5,
    b"FATAL": 5,
}  # fmt: skip
INFO: Final = 2
LEVEL_COUNT: Final = 6


def level_of(record: bytes) -> int:
    """The rank of the record's `level`, by the names of logging, structlog and loguru; INFO without one."""
    start = record.find(MARK)
    if start < 0:
        return INFO
    start += len(MARK)
    return LEVELS.get(record[start : record.find(b'"', start)].upper(), INFO)
