"""What a recorded operation does to the world, by protocol: it only reads, it may change something, or neither."""

from __future__ import annotations

import re
from collections.abc import Iterable

from microdelay.spans import DB, LLM, REQUESTS, Span
from microdelay.traces.columns import Shape

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})
"""Of HTTP: safe by definition (RFC 9110 §9.2.1; QUERY by its own draft)."""

COMPUTING = re.compile(
    r"(^|[/:_\-])(sentiments?|classif(y|ication)s?|embed|embeddings?|(chat/)?completions|_?search|_?msearch|_count|_mget|"
    r"predict(ions?)?|infer(ence)?|re-?rank|moderations?|translat(e|ions?)|detect|analy[sz]e|analysis|score|tokenize|"
    r"count_tokens|summari[sz]e|ocr|transcri(be|ptions?)|lookup|recommend(ations?)?|generateContent|embedContent|"
    r"batchEmbedContents|countTokens)$",
    re.IGNORECASE,
)
"""Last words of paths whose POST requests compute an answer and change nothing: models' APIs, searches."""

READ_STATEMENTS = (
    "SELECT", "WITH", "EXPLAIN", "SHOW", "VALUES", "PRAGMA", "BEGIN", "START TRANSACTION", "SAVEPOINT", "RELEASE",
    "ROLLBACK", "DECLARE",
)  # fmt: skip
"""What an SQL statement that changes nothing begins with; a commit is judged by what it ends."""

_CHANGING = re.compile(
    r"\b(INSERT|UPDATE|DELETE|MERGE|NEXTVAL|SETVAL|pg_(try_)?advisory\w*|pg_notify|set_config|GET_LOCK|INTO\s+(?!@)\w+\s+FROM)\b|"
    r"\bFOR\s+(NO\s+KEY\s+)?(UPDATE|SHARE)\b|^PRAGMA\s+\w+\s*=",
    re.IGNORECASE,
)
"""What a statement that begins like one that reads may change all the same, or lock."""

_FUNCTION = re.compile(r"^SELECT\s+(?:\*\s+FROM\s+)?([\w.]+)\s*\((?!.*\bFROM\b)", re.IGNORECASE | re.DOTALL)
"""A statement that is nothing but the call of a function."""

_READING_FUNCTION = re.compile(
    r"(^|\.)_?((get|fetch|find|list|search|match|query|lookup|count|is|has|json|to|date|array|current|pg|gen|uuid)_?\w*|"
    r"jsonb\w*|now|version|generate_series|unnest|coalesce|sum|max|min|avg|exists|lower|upper|length|char_length|random|"
    r"clock_timestamp|statement_timestamp|transaction_timestamp|last_insert_\w+|database|schema|user|connection_id|"
    r"sqlite_version|string_agg|cast|concat\w*|md5|sha\d*|encode|decode|row_to_json|greatest|least|round|abs|ceil|floor|"
    r"set_size|similarity|substring|substr|trim|replace|strftime|datetime|julianday|typeof|changes|total_changes|"
    r"row_count|found_rows|sleep|benchmark)$",
    re.IGNORECASE,
)
"""Functions of databases that change nothing, or say so by their name; what another one does, a query does not tell."""

READ_COMMANDS = frozenset({
    "PIPELINE", "GET", "MGET", "GETRANGE", "STRLEN", "EXISTS", "TTL", "PTTL", "TYPE", "KEYS", "SCAN", "RANDOMKEY",
    "HGET", "HMGET", "HGETALL", "HKEYS", "HVALS", "HLEN", "HEXISTS", "HSCAN", "HSTRLEN", "LRANGE", "LLEN", "LINDEX",
    "LPOS", "SMEMBERS", "SISMEMBER", "SMISMEMBER", "SCARD", "SRANDMEMBER", "SINTER", "SUNION", "SDIFF", "SSCAN",
    "ZRANGE", "ZRANGEBYSCORE", "ZREVRANGE", "ZREVRANGEBYSCORE", "ZSCORE", "ZMSCORE", "ZRANK", "ZREVRANK", "ZCARD",
    "ZCOUNT", "ZSCAN", "XRANGE", "XREVRANGE", "XLEN", "XREAD", "BITCOUNT", "GETBIT", "PFCOUNT", "GEOPOS", "GEODIST",
    "GEOSEARCH", "PING", "ECHO", "TIME", "INFO", "DBSIZE",
})  # fmt: skip
"""Of Redis: commands that change nothing; a pipeline is named after those in it."""

ERROR_STATUS = 400
"""Of HTTP: from here on an answer is an error."""

CLEANING = ("SELECT PG_ADVISORY_UNLOCK_ALL()", "DISCARD", "RESET", "UNLISTEN", "CLOSE ALL", "DEALLOCATE")
"""Statements by which a pool makes a connection as new before it gives it to the next."""

TURNS = ("BEGIN", "START TRANSACTION", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "END")
"""Statements that only begin and end a transaction."""


def reads(span: Span) -> bool:
    """Tell whether a request only reads: by its method, or for a POST by what it asks for."""
    method = span.attributes.get("http.request.method")
    return method in SAFE_METHODS or (method == "POST" and computes(span))


def computes(span: Span) -> bool:
    """Tell whether a POST computes an answer: it asks a language model, or its path says so by its last word."""
    path = str(span.attributes.get("url.template", "")).rstrip("/")
    return span.kind == LLM or bool(COMPUTING.search(path))


def writes(span: Span) -> bool:
    """Tell whether a request or a statement may change something, or lock it."""
    if span.kind in REQUESTS:
        return span.attributes.get("part") != "body" and not reads(span)
    if span.kind != DB or span.attributes.get("part") == "fetch":
        return False
    if "db.operation.name" in span.attributes:
        return not READ_COMMANDS.issuperset(str(span.attributes["db.operation.name"]).split())
    text = str(span.attributes.get("db.query.text", "")).lstrip().upper()
    if text.startswith(CLEANING):
        return False
    if not text.startswith(READ_STATEMENTS) or _CHANGING.search(text):
        return bool(text)
    function = _FUNCTION.match(text)
    return function is not None and not _READING_FUNCTION.search(function[1])


def is_turn(span: Span | Shape) -> bool:
    """Tell whether a statement only begins or ends a transaction, or cleans a connection up."""
    return str(span.attributes.get("db.query.text", "")).lstrip().upper().startswith((*TURNS, *CLEANING))


def is_commit(span: Span) -> bool:
    """Tell whether a statement ends a transaction, and keeps what it wrote."""
    return str(span.attributes.get("db.query.text", "")).lstrip().upper().startswith(("COMMIT", "END"))


def commits_nothing(spans: Iterable[Span], commit: Span) -> bool:
    """Tell whether a statement commits on a connection on which `spans`, before it, wrote nothing that is open."""
    connection = commit.attributes.get("connection")
    if not is_commit(commit) or connection is None:
        return False
    wrote = False
    for other in spans:
        if other is commit:
            break
        if other.attributes.get("connection") == connection and writes(other):
            wrote = not is_commit(other)
    return not wrote


def same_resource(one: Span, two: Span) -> bool:
    """Tell whether two operations are about the same thing of the same server: a path and what lies below it, a table.

    Commands of stores without a query language name no thing that a recording may keep: they never are.
    """
    if not all(_of(one, key) == _of(two, key) for key in ("server.address", "server.port", "db.namespace")):
        return False
    if one.kind in REQUESTS and two.kind in REQUESTS:
        paths = sorted((_of(one, "url.template"), _of(two, "url.template")), key=len)
        return bool(paths[0].strip("/")) and (paths[1] + "/").startswith(paths[0].rstrip("/") + "/")
    if one.kind == DB and two.kind == DB and "db.query.text" in one.attributes and "db.query.text" in two.attributes:
        tables = one.name.partition(" ")[2], two.name.partition(" ")[2]
        return bool(tables[0]) and tables[0] == tables[1]
    return False


def _of(span: Span, key: str) -> str:
    return str(span.attributes.get(key, ""))


def failed(span: Span) -> bool:
    """Tell whether an operation failed: an exception, or a status that is an error's."""
    status = span.attributes.get("http.response.status_code")
    return bool(span.error) or (isinstance(status, int) and status >= ERROR_STATUS)
