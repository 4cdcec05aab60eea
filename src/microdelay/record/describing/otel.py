"""From a span made through OpenTelemetry's API to what is written of it: its kind, and attributes by today's names.

Read are the semantic conventions, those before the names became stable too, OpenInference (`openinference.span.kind`,
`llm.*`) and Traceloop (`traceloop.*`). What two spans say of one wait is compared when the recording is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from microdelay.record import redact
from microdelay.record.describing.description import Attributes, Description
from microdelay.spans import AGENT, DB, HTTP, INTERNAL, LLM, QUEUE, SERVER, TOOL

MAX_NAME_CHARACTERS = 200
"""Of a span; its name may be made of what the program handles."""

_OPERATIONS = {
    "chat": LLM, "text_completion": LLM, "generate_content": LLM, "embeddings": LLM,
    "invoke_agent": AGENT, "create_agent": AGENT, "invoke_workflow": AGENT, "execute_tool": TOOL,
}  # fmt: skip
_TELLING = frozenset({"create_agent", "execute_tool", "invoke_agent", "invoke_workflow"})
"""Operations that say what a span is where its name begins with them and its attributes are not seen."""

_OTHER_KINDS = {
    "LLM": LLM, "EMBEDDING": LLM, "AGENT": AGENT, "TOOL": TOOL,  # OpenInference
    "workflow": AGENT, "agent": AGENT, "tool": TOOL,  # Traceloop
}  # fmt: skip
_DATABASES = frozenset({
    "aiopg", "asyncpg", "cassandra", "dbapi", "elasticsearch", "mysql", "mysqlclient", "psycopg", "psycopg2",
    "pymemcache", "pymongo", "pymssql", "pymysql", "redis", "sqlalchemy", "sqlite3", "tortoiseorm",
})  # fmt: skip
"""Instrumentations that give their attributes to recording spans only: without a provider there is none of them."""

_STANDARD_SQL = frozenset({
    "cassandra", "cockroachdb", "db2", "ibm.db2", "microsoft.sql_server", "mssql", "oracle", "oracle.db", "other_sql",
    "postgresql", "redshift", "aws.redshift", "sqlite", "trino",
})  # fmt: skip
"""Systems (`db.system.name`) in whose strings a backslash is a character like any other."""

_SQL = _STANDARD_SQL | {
    "bigquery", "clickhouse", "databricks", "gcp.spanner", "hive", "mariadb", "mysql", "snowflake", "spanner",
    "sparksql",
}  # fmt: skip
"""Systems whose statements are SQL, so that the values in them can be told from the rest."""

_COMMAND = re.compile(r"[A-Za-z][A-Za-z.]{1,19}(?=\s|$)")

_IDENTIFIER = re.compile(r"[A-Za-z_][\w.$-]{0,99}")

Facts = Mapping[str, Any]


def otel(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Describe one span; nothing is known of the values in it, so there are no fingerprints."""
    kind = kind_of(details)
    made = _MAKERS.get(kind, _internal)(details)
    for key in ("otel.scope.name", "otel.dropped_attributes_count"):
        if details.get(key):
            made.attributes[key] = details[key]
    made.name = made.name[:MAX_NAME_CHARACTERS]
    made.kind = kind
    return made


def kind_of(facts: Facts) -> str:
    """Tell our kind from the attributes, else from OpenTelemetry's kind."""
    role = facts["otel.span.kind"]
    other = facts.get("openinference.span.kind") or facts.get("traceloop.span.kind")
    if other is not None:
        return _OTHER_KINDS.get(str(other), INTERNAL)
    if "gen_ai.operation.name" in facts or _any(facts, "gen_ai.provider.name", "gen_ai.system"):
        return _OPERATIONS.get(str(facts.get("gen_ai.operation.name", "chat")), INTERNAL)
    if role == "SERVER":
        return SERVER
    if _any(facts, "messaging.system"):
        operation = _any(facts, "messaging.operation.type", "messaging.operation")
        return SERVER if operation == "process" else QUEUE  # a message that this program works off is its unit of work
    if _any(facts, "db.system.name", "db.system") or facts["otel.scope.name"].rpartition(".")[2] in _DATABASES:
        return DB
    word, _, rest = str(facts["otel.name"]).partition(" ")
    if rest and word in _TELLING:
        return _OPERATIONS[word]
    if role == "CLIENT" and _any(facts, "http.request.method", "http.method", "rpc.system.name", "rpc.system"):
        return HTTP
    return INTERNAL


def _any(facts: Facts, *keys: str) -> Any:
    """Give the first of several attributes that is there."""
    return next((facts[key] for key in keys if facts.get(key) not in (None, "")), None)


def _taken(facts: Facts, **names: tuple[str, ...]) -> Attributes:
    """Give the attributes that are there under today's names (`__` stands for a dot)."""
    found = {name.replace("__", "."): _any(facts, *keys) for name, keys in names.items()}
    return {name: value for name, value in found.items() if value is not None}


def _http(facts: Facts) -> Description:
    raw = str(_any(facts, "url.full", "http.url") or "")
    scheme, host, port, path = redact.url(raw)
    method = str(_any(facts, "http.request.method", "http.method") or "").upper()
    attributes = _taken(
        facts,
        server__address=("server.address", "net.peer.name"),
        server__port=("server.port", "net.peer.port"),
        http__response__status_code=("http.response.status_code", "http.status_code"),
        http__request__body__size=("http.request.body.size",),
        http__response__body__size=("http.response.body.size",),
        rpc__system=("rpc.system.name", "rpc.system"),
        rpc__service=("rpc.service",),
        rpc__method=("rpc.method",),
    )
    if not method:  # a remote procedure call
        return Description(_name(facts), attributes)
    if raw:
        told: Attributes = {"url.scheme": scheme, "server.address": host, "server.port": port}
        attributes |= {key: value for key, value in told.items() if value}
    attributes |= {"http.request.method": method, "url.template": path if raw else ""}
    return Description(f"{method} {path}" if raw else method, attributes)


def _db(facts: Facts) -> Description:
    attributes = _taken(
        facts,
        db__system__name=("db.system.name", "db.system"),
        db__operation__batch__size=("db.operation.batch.size",),
        db__response__returned_rows=("db.response.returned_rows",),
        server__address=("server.address", "net.peer.name"),
    )
    statement = _any(facts, "db.query.text", "db.statement")
    system = str(attributes.get("db.system.name", "other_sql")).lower()
    if statement and system in _SQL:
        summary = redact.query_summary(str(statement), system not in _STANDARD_SQL)
        text = redact.query(str(statement), system not in _STANDARD_SQL)
        attributes |= {"db.query.text": text, "db.query.summary": summary}
        return Description(summary, attributes)
    if statement:  # of another language: what is a value in it cannot be told, but for its first word
        command = _COMMAND.match(str(statement))
        summary = command.group().upper() if command else system.upper()
        return Description(summary, attributes | {"db.query.summary": summary})
    # Both may be made of what the program handles, as the names of keys are: only what is a word or a name is kept.
    command = _COMMAND.match(str(_any(facts, "db.operation.name", "db.operation") or ""))
    collection = _IDENTIFIER.fullmatch(str(_any(facts, "db.collection.name") or ""))
    summary = " ".join(part.group() for part in (command, collection) if part) or redact.query_summary(_name(facts))
    return Description(summary, attributes | {"db.query.summary": summary})


def _gen_ai(facts: Facts) -> Description:
    attributes = _taken(
        facts,
        gen_ai__operation__name=("gen_ai.operation.name",),
        gen_ai__provider__name=("gen_ai.provider.name", "gen_ai.system", "llm.provider"),
        gen_ai__request__model=("gen_ai.request.model", "llm.model_name"),
        gen_ai__response__model=("gen_ai.response.model",),
        gen_ai__usage__input_tokens=(
            "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt",
        ),
        gen_ai__usage__output_tokens=(
            "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion",
        ),
        gen_ai__agent__name=("gen_ai.agent.name",),
        gen_ai__tool__name=("gen_ai.tool.name", "tool.name"),
        server__address=("server.address",),
    )  # fmt: skip
    return Description(_name(facts), attributes)


def _queue(facts: Facts) -> Description:
    attributes = _taken(
        facts,
        messaging__system=("messaging.system",),
        messaging__destination__name=("messaging.destination.name",),
        messaging__operation__type=("messaging.operation.type", "messaging.operation"),
        messaging__batch__message_count=("messaging.batch.message_count",),
    )
    return Description(_name(facts), attributes)


def _server(facts: Facts) -> Description:
    if _any(facts, "messaging.system"):
        return _queue(facts)
    method = str(_any(facts, "http.request.method", "http.method") or "").upper()
    raw = str(_any(facts, "url.path", "http.target", "url.full", "http.url") or "")
    path = str(_any(facts, "http.route") or (redact.url(raw)[3] if raw else ""))
    attributes = _taken(
        facts,
        http__response__status_code=("http.response.status_code", "http.status_code"),
        http__route=("http.route",),
        rpc__method=("rpc.method",),
    )
    if method:
        attributes |= {"http.request.method": method, "url.template": path}
    return Description(f"{method} {path}".strip() if method else _name(facts), attributes)


def _internal(facts: Facts) -> Description:
    return Description(_name(facts), _taken(facts, code__function__name=("code.function.name",)))


def _name(facts: Facts) -> str:
    return str(facts["otel.name"])


_MAKERS: dict[str, Callable[[Facts], Description]] = {
    AGENT: _gen_ai,
    DB: _db,
    HTTP: _http,
    LLM: _gen_ai,
    QUEUE: _queue,
    SERVER: _server,
    TOOL: _gen_ai,
}
