"""A statement or command sent to a database, from the raw facts that its probe took."""

from __future__ import annotations

import functools
from typing import Any

from microdelay.record import redact
from microdelay.record.describing.description import Attributes, Description

_AS_THEY_ARE = frozenset({
    "db.operation.batch.size", "db.response.returned_rows", "db.namespace", "server.address", "server.port", "part",
    "connection", "microdelay.keys", "microdelay.orm", "microdelay.template",
})  # fmt: skip


class Statement:
    """A statement that is sent again and again over one connection: `details` are what each time is the same.

    A span of it has for details the list of it, what it was given (text), and the rows that were looked at (text).
    """

    __slots__ = ("details", "query", "rows_are_kept")

    def __init__(self, details: dict[str, Any]) -> None:
        self.details = details
        self.query: str = details["query"]
        self.rows_are_kept = True

    def sent(self, parameters: str, rows: str) -> dict[str, Any]:
        """Give the details of one span as those of all others are given."""
        return self.details | {"parameters": parameters, "rows": rows}

    def fingerprint(self, parameters: str) -> int:
        """Give the `input` of one span."""
        return redact.fingerprint(self.query, parameters)


def db(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Describe a statement by its text without literals, or a command of a store without a query language."""
    operation = details.get("operation", "")
    raw = operation or details.get("query", "")
    rest = tuple([item for item in details.items() if item[0] in _AS_THEY_ARE and item[1] is not None])
    summary, attributes = _attributes(details.get("system", ""), operation, raw, rest)
    parameters = details.get("parameters", "")
    given = details.get("input")
    if given is None:
        given = redact.fingerprint(raw, parameters if type(parameters) is str else repr(parameters))
    made = Description(name or summary, attributes, int(given), is_shared=True)
    if "answer" in details:
        made.output = redact.fingerprint(details["answer"])
    if with_tokens:
        found = details.get("rows", details.get("answer", ""))
        made.sent = redact.tokens(str(parameters).encode("utf-8", "replace"))
        made.received = redact.tokens(str(found).encode("utf-8", "replace"))
    return made


@functools.lru_cache(512)
def _attributes(system: str, operation: str, raw: str, rest: tuple[tuple[str, Any], ...]) -> tuple[str, Attributes]:
    attributes: Attributes = {"db.system.name": system}
    if operation:
        summary = attributes["db.operation.name"] = operation
    else:
        backslash = system in redact.BACKSLASH_SYSTEMS
        summary = attributes["db.query.summary"] = redact.query_summary(raw, backslash)
        attributes["db.query.text"] = redact.query(raw, backslash)
    return summary, attributes | dict(rest)
