"""Levels of log records in the numbers of OpenTelemetry and of syslog."""

from __future__ import annotations

from typing import Final, NamedTuple


class Severity(NamedTuple):
    """A level: OpenTelemetry's severity number (logs data model) and syslog's severity (RFC 5424, table 2)."""

    otlp: int
    syslog: int


UNKNOWN: Final = Severity(0, 6)
"""Of a record without a level: unspecified, and informational where there must be one."""

SEVERITIES: Final = {
    "TRACE": Severity(1, 7),
    "DEBUG": Severity(5, 7),
    "INFO": Severity(9, 6),
    "SUCCESS": Severity(9, 6),
    "NOTICE": Severity(10, 5),
    "WARN": Severity(13, 4),
    "WARNING": Severity(13, 4),
    "ERROR": Severity(17, 3),
    "EXCEPTION": Severity(17, 3),
    "CRITICAL": Severity(21, 2),
    "FATAL": Severity(21, 2),
    "ALERT": Severity(22, 1),
    "EMERGENCY": Severity(24, 0),
}


def severity(level: object) -> Severity:
    """The severity of a record's field `level`, in whichever case."""
    return SEVERITIES.get(level.upper(), UNKNOWN) if isinstance(level, str) else UNKNOWN
