"""A statement or command sent to a database, from the raw facts that its probe took."""

from __future__ import annotations

from typing import Any

from microdelay.record import redact
from microdelay.record.description import Attributes, Description

_AS_THEY_ARE = (
    "db.operation.batch.size", "db.response.returned_rows", "db.namespace", "server.address", "server.port", "part",
    "connection", "microdelay.keys", "microdelay.orm", "microdelay.template",
)  # fmt: skip


def db(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Describe a statement by its text without literals, or a command of a store without a query language."""
    raw = details.get("query", "")
    attributes: Attributes = {"db.system.name": details.get("system", "")}
    if "operation" in details:
        summary = raw = attributes["db.operation.name"] = details["operation"]
    else:
        backslash = details.get("system") in redact.BACKSLASH_SYSTEMS
        summary = attributes["db.query.summary"] = redact.query_summary(raw, backslash)
        attributes["db.query.text"] = redact.query(raw, backslash)
    for key in _AS_THEY_ARE:
        if details.get(key) is not None:
            attributes[key] = details[key]
    parameters = details.get("parameters", "")
    known_input = details.get("input")
    given = redact.fingerprint(raw, parameters) if known_input is None else int(known_input)
    made = Description(name or summary, attributes, input=given)
    if "answer" in details:
        made.output = redact.fingerprint(details["answer"])
    if with_tokens:
        found = details.get("rows", details.get("answer", ""))
        made.sent = redact.tokens(str(parameters).encode("utf-8", "replace"))
        made.received = redact.tokens(str(found).encode("utf-8", "replace"))
    return made
