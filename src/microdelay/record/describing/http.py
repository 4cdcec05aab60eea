"""From a request's raw details to what is written of it."""

from __future__ import annotations

import functools
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from microdelay.record import redact
from microdelay.record.describing import llm
from microdelay.record.describing.description import Attributes, Description
from microdelay.spans import LLM

STATUS = "http.response.status_code"
SENT_BYTES, ANSWER_BYTES = "http.request.body.size", "http.response.body.size"

Items = tuple[tuple[str, Any], ...]
"""Names and values of attributes."""

Pairs = Iterable[tuple[Any, Any]]
"""Names and values of headers, both text or both bytes."""

_COMMON_HEADERS = frozenset({
    "accept", "accept-encoding", "connection", "content-length", "content-type", "host", "transfer-encoding",
    "user-agent",
})  # fmt: skip

_SDK_HEADERS = "x-stainless-"
"""Begin the names in which the SDKs of OpenAI and Anthropic tell what they run on."""

_ATTEMPT_HEADER = "x-stainless-retry-count"

_TELLING_HEADERS = frozenset({"etag", "link", "location", "set-cookie", "www-authenticate"})
"""Of an answer: those whose values a later request may need."""

MAX_HEADERS = 20
"""Of a request or answer, whose values are looked at."""

LARGE_BYTES = 100_000
"""Of an answer from which on is told whether it is compressed: at 1 Gbit/s it takes 1 ms."""

ASKING_CLIENTS = frozenset({"aiohttp"})
"""Clients that ask for compression by themselves, in headers that are not among those taken from the program's call."""

_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]{1,60}$")

_METHODS = {name: name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")}


def http(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    """Describe a request, or the wait for the body that it was answered with."""
    details.pop("open", None)  # what is learnt of the answer from now on is a span of its own
    request = details.get("request")
    made = _request(name, details, with_tokens) if request is None else _body(details, request)
    answer = details.get("answer")
    if "answer_fingerprint" in details:
        made.output = details["answer_fingerprint"]
    elif answer is not None:
        made.output = redact.fingerprint(answer)
    if with_tokens:
        told = redact.header_tokens(_telling(details.get("answer_headers", ())))
        echoed = set(made.sent)  # what the answer's headers repeat of the request came from elsewhere
        made.received = [*redact.tokens(answer), *(token for token in told if token not in echoed)]
    return made


def _request(name: str, details: dict[str, Any], with_tokens: bool) -> Description:
    raw = str(details.get("url", ""))[: redact.MAX_TEXT]
    get = details.get
    more = (*get("connection", ()), *_encoding(details, details))
    told = get(STATUS), get(SENT_BYTES), get(ANSWER_BYTES), get("client"), more
    if "asked" in details or "described" in details:
        made = _base(name, details, raw)
        made.attributes |= _added(*told)
        if made.kind:
            made.attributes |= llm.answered(details.pop("told", None))
            attempt = _number(_attempt(details.get("headers", ())))
            if attempt:
                made.attributes["http.request.resend_count"] = attempt
    else:
        method = _method(details)
        title, attributes = _named(method, *redact.url(raw), *told)
        made = Description(name or title, attributes, _input(details, method, raw), is_shared=True)
    if with_tokens:
        made.sent = [*redact.tokens(raw.partition("://")[2].encode("utf-8", "replace"))]
        for value in _uncommon(details.get("headers", ())):
            made.sent += redact.tokens(_bytes(value))
        made.sent += redact.tokens(details.get("body"))
    return made


def _base(name: str, details: dict[str, Any], raw: str) -> Description:
    """Give what a request has in common with the waits for its body."""
    described = details.get("described")
    if described is not None:
        return Description(described.name, dict(described.attributes), described.input, kind=described.kind)
    method = _method(details)
    title, attributes = _named(method, *redact.url(raw))
    made = Description(name or title, dict(attributes), _input(details, method, raw))
    asked = details.pop("asked", None)
    if asked is not None and method == "POST":
        _ask(made, asked, raw)
        details["described"] = Description(made.name, dict(made.attributes), made.input, kind=made.kind)
    return made


def _method(details: dict[str, Any]) -> str:
    given = details.get("method", "GET")
    return _METHODS.get(given) or str(given).upper()[:20]


def _input(details: dict[str, Any], method: str, raw: str) -> int:
    body = details.get("body")
    sent = details.get("body_fingerprint") or (redact.fingerprint(body) if body else 0)
    return redact.fingerprint(method, raw, sent)


@functools.lru_cache(1024)
def _named(method: str, scheme: str, host: str, port: int, path: str, *told: Any) -> tuple[str, Attributes]:
    """Give a request's name, and its attributes: the same object for the same ones, not to be changed."""
    attributes: Attributes = {"http.request.method": method, "url.template": path, "server.address": host}
    if port:
        attributes["server.port"] = port
    if scheme:
        attributes["url.scheme"] = scheme
    return f"{method} {path}", attributes | (_added(*told) if told else {})


def _added(status: Any, sent: Any, answered: Any, client: Any, connection: Items) -> Attributes:
    """Give the attributes of what else is known, as far as it is."""
    values = ((STATUS, status), (SENT_BYTES, sent), (ANSWER_BYTES, answered), ("client", client))
    return {name: value for name, value in (*values, *connection) if value is not None}


def _ask(made: Description, asked: bytes, raw: str) -> None:
    model = llm.asked(asked, str(made.attributes["server.address"]), raw.partition("?")[0])
    if model is not None:
        made.kind = LLM
        made.attributes.update(model)
        made.name = f"{model['gen_ai.operation.name']} {model.get('gen_ai.request.model', '')}".strip()


def _body(details: dict[str, Any], request: dict[str, Any]) -> Description:
    made = _base("", request, str(request.get("url", ""))[: redact.MAX_TEXT])
    made.attributes["part"] = "body"
    for key in ("client", "http.response.status_code"):
        if key in request:
            made.attributes[key] = request[key]
    if "http.response.body.size" in details:
        made.attributes["http.response.body.size"] = details["http.response.body.size"]
    made.attributes.update(_encoding(request, details))
    if "first_ns" in details:
        made.attributes["microdelay.time_to_first_chunk_ns"] = details["first_ns"]
    if "waited_ns" in details:
        made.attributes["microdelay.stream_idle_ns"] = details["waited_ns"]
    if made.kind:
        if "streamed" in details:
            made.attributes.update(llm.streamed(details["streamed"], bool(details.get("is_cut"))))
        made.attributes.update(llm.answered(details.get("told")))
        if "first_ns" in details:
            made.attributes["gen_ai.response.time_to_first_chunk"] = round(details["first_ns"] / 1e9, 6)
    return made


def _encoding(request: dict[str, Any], details: dict[str, Any]) -> Items:
    """Say of a large answer, of which the headers are known, what it is, whether it is compressed and was asked to be.

    What is kept of its beginning says how much less it could be: a short text is compressed less well than a long one.
    """
    answered = request.get("answer_headers")
    if answered is None or details.get(ANSWER_BYTES, 0) < LARGE_BYTES:
        return ()
    kind = _header(answered, "content-type").partition(";")[0].strip().lower()
    encoding = "gzip" if _header(answered, "content-encoding") else "identity"
    told: list[tuple[str, Any]] = [
        ("http.response.header.content-encoding", encoding),
        ("microdelay.accepts_gzip", _accepts_gzip(request)),
    ]
    if _MEDIA_TYPE.match(kind):
        told.append(("http.response.header.content-type", kind))
    begins = details.get("answer")
    if encoding == "identity" and isinstance(begins, bytes) and begins:
        told.append(("microdelay.compressed_share", round(len(zlib.compress(begins, 1)) / len(begins), 1)))
    return tuple(told)


def _accepts_gzip(request: dict[str, Any]) -> bool:
    asked = _header(request.get("headers", ()), "accept-encoding")
    return "gzip" in asked.lower() or (not asked and request.get("client") in ASKING_CLIENTS)


def _header(headers: Pairs, wanted: str) -> str:
    """Give the value of a header, the last of several; "" where there is none."""
    return next((_text(value) for name, value in reversed([*headers]) if _lower(name) == wanted), "")


def _uncommon(headers: Pairs) -> Iterator[Any]:
    """Give the values of a request's headers that say something."""
    told = (value for name, value in headers if not _is_common(name))
    return itertools.islice(told, MAX_HEADERS)


def _telling(headers: Pairs) -> Iterator[tuple[str, str]]:
    """Give those headers of an answer whose values a later request may need."""
    named = ((_lower(name), value) for name, value in headers)
    told = ((name, _text(value)[: redact.TOKEN_BYTES]) for name, value in named if name in _TELLING_HEADERS)
    return itertools.islice(told, MAX_HEADERS)


def _attempt(headers: Pairs) -> Any:
    return next((value for name, value in headers if _lower(name) == _ATTEMPT_HEADER), None)


@functools.lru_cache(1024, typed=True)
def _is_common(name: str | bytes) -> bool:
    lower = _lower(name)
    return lower in _COMMON_HEADERS or lower.startswith(_SDK_HEADERS)


def _lower(name: str | bytes) -> str:
    return _text(name).lower()


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _number(value: object) -> int:
    digits = _bytes(value)[:4] if value is not None else b""
    return int(digits) if digits.isdigit() else 0
