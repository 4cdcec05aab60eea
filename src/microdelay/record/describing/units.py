"""Units of work and their parts as they are written: requests that are answered, agents' turns, tools that they use."""

from __future__ import annotations

from typing import Any

from microdelay.record import redact
from microdelay.record.describing.description import Attributes, Description

VALUES = frozenset({"arguments", "answer"})
"""Of these details only fingerprints are written."""


def server(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Name a request that is answered by its method and route."""
    return _named(details.get("http.request.method", "HTTP"), details.get("http.route"), details)


def agent(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Name an agent's turn by the agent."""
    return _named(name, details.get("gen_ai.agent.name"), details)


def tool(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Name a tool's execution by the tool, with fingerprints of what it was given and gave."""
    used = details.get("gen_ai.tool.name")
    given, gave = str(details.get("arguments", "")), str(details.get("answer", ""))
    made = _named(name, used, details)
    made.input = redact.fingerprint(str(used), given)
    made.output = redact.fingerprint(gave) if gave else 0
    if with_tokens:
        made.sent = redact.tokens(given.encode("utf-8", "replace"))
        made.received = redact.tokens(gave.encode("utf-8", "replace"))
    return made


def _named(first: str, second: str | None, details: dict[str, Any]) -> Description:
    attributes: Attributes = {
        key: value for key, value in details.items() if key not in VALUES and isinstance(value, (str, int, float, bool))
    }
    return Description(f"{first} {second}" if second else first, attributes)
