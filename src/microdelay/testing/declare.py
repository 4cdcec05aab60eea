"""What the names in a drawing stand for: spans as the recorder would have written them."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from zlib import crc32

from microdelay.errors import UsageError
from microdelay.spans import (
    AGENT,
    CODEC,
    CONNECT,
    DB,
    DNS,
    GC,
    HTTP,
    IMPORT,
    INTERNAL,
    JOIN,
    LLM,
    LOCK,
    LOG,
    POOL,
    PROCESS,
    QUEUE,
    SETUP,
    SLEEP,
    TELEMETRY,
    TLS,
    TOOL,
    UNKNOWN,
    Place,
    Span,
)

_OPTION = re.compile(
    r"\s+(at (?P<line>\d+)|(?P<key>status|client|input|output|size|rows|tools|seconds|error|system)=(?P<value>\S+))\s*$"
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "QUERY")
_TABLE = re.compile(r"\b(?:FROM|INTO|UPDATE)\s+(\w+)", re.IGNORECASE)
_WORDS = {
    "connect": CONNECT, "dns": DNS, "tls": TLS, "sleep": SLEEP, "log": LOG, "cpu": INTERNAL, "codec": CODEC,
    "setup": SETUP, "import": IMPORT, "gc": GC, "pool": POOL, "lock": LOCK, "queue": QUEUE, "join": JOIN,
    "process": PROCESS, "telemetry": TELEMETRY, "tool": TOOL, "agent": AGENT, "llm": LLM,
    "unknown": UNKNOWN,
}  # fmt: skip
_SHOWN = {
    "log": "handler", "connect": "server.address", "dns": "server.address", "tls": "server.address",
    "tool": "gen_ai.tool.name", "agent": "gen_ai.agent.name", "llm": "gen_ai.request.model",
}  # fmt: skip
_TEXTS = {"system": "db.system.name"}
_NUMBERS = {"rows": "db.response.returned_rows", "tools": "microdelay.tool_calls"}

Attributes = dict[str, str | int | float | bool]


@dataclass(frozen=True, slots=True)
class Declared:
    """What one name stands for."""

    kind: str
    name: str
    line: int
    attributes: Attributes
    input: str = "same"
    output: str = "same"
    error: str = ""


def declared(text: str, number: int) -> Declared:
    """Read a declaration, e.g. `GET http://api/users  at 3 output=each`; the `number`-th stands in that line.

    Raises UsageError for one that says nothing known.
    """
    options: dict[str, str] = {}
    while found := _OPTION.search(text):
        options[found["key"] or "line"] = found["value"] or found["line"]
        text = text[: found.start()]
    word, _, rest = text.strip().partition(" ")
    line = int(options.pop("line", number))
    values = {key: options.pop(key) for key in ("input", "output", "error") if key in options}
    if word in _METHODS:
        name, attributes = _http(word, rest.strip(), options)
        return Declared(HTTP, name, line, attributes, **values)
    if word in ("sql", "fetch"):
        name, attributes = _sql(word, rest.strip())
        return Declared(DB, name, line, attributes | _told(options), **values)
    if word == "command":
        command: Attributes = {"db.system.name": "redis", "db.operation.name": rest.strip(), "connection": 1}
        return Declared(DB, rest.strip(), line, command | _told(options), **values)
    if word == "publish":
        sent: Attributes = {"messaging.destination.name": rest.strip(), "messaging.operation.type": "send"}
        return Declared(QUEUE, f"send {rest.strip()}", line, sent | _told(options), **values)
    if word in _WORDS:
        made: Attributes = {_SHOWN[word]: rest.strip()} if word in _SHOWN else {}
        return Declared(_WORDS[word], rest.strip() or word, line, made | _told(options), **values)
    raise UsageError(
        f"a declaration begins with an HTTP method, sql, fetch, command, publish or {', '.join(_WORDS)}, not {word!r}"
    )


def _told(options: dict[str, str]) -> Attributes:
    """Give what options say, under the names that the recorder uses."""
    numbers: Attributes = {
        _NUMBERS.get(key, key): float(value) if key == "seconds" else int(value)
        for key, value in options.items()
        if key not in _TEXTS
    }
    return numbers | {_TEXTS[key]: value for key, value in options.items() if key in _TEXTS}


def _http(method: str, url: str, options: dict[str, str]) -> tuple[str, Attributes]:
    parts = urlsplit(url)
    attributes: Attributes = {
        "http.request.method": method,
        "url.template": parts.path or "/",
        "server.address": parts.hostname or "",
        "server.port": parts.port or 80,
        "http.response.status_code": int(options.get("status", "200")),
        "client": options.get("client", "requests"),
    }
    if "size" in options:
        attributes["http.response.body.size"] = int(options["size"])
    return f"{method} {parts.path or '/'}", attributes


def _sql(word: str, statement: str) -> tuple[str, Attributes]:
    table = _TABLE.search(statement)
    verb = statement.partition(" ")[0].upper()
    attributes: Attributes = {"db.system.name": "sqlite", "db.query.text": statement, "connection": 1}
    if word == "fetch":
        attributes["part"] = "fetch"
    return f"{verb} {table[1]}" if table else verb, attributes


@dataclass
class Described:
    """Makes spans of what is declared."""

    names: dict[str, Declared]
    file: str
    function: str
    seen: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def place(self, line: int) -> Place:
        """Give a line of the user's file."""
        return Place(self.file, line, self.function, line)

    def span(self, name: str, number: int, activity: int, start_ns: int, end_ns: int) -> Span:
        """Make the span of a name. Raises UsageError for one that is not declared."""
        what = self.names.get(name)
        if what is None:
            raise UsageError(f"{name!r} is drawn but not declared; add a line such as '{name}: GET http://host/path'")
        self.seen[name] += 1
        return Span(
            number,
            what.kind,
            what.name,
            start_ns,
            end_ns,
            activity,
            site=self.place(what.line),
            attributes=what.attributes,
            input=self._value(what.input, f"in {what.name} {what.attributes.get('server.address')}", name),
            output=self._value(what.output, f"out {what.name}", name),
            error=what.error,
        )

    def _value(self, how: str, text: str, name: str) -> int:
        if how == "none":
            return 0
        return crc32(f"{text} {self.seen[name] if how == 'each' else ''}".encode()) or 1
