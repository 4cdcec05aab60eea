"""What the probes of HTTP clients share: which facts are taken, and one span a request however many layers deep.

A request is a span until the answer's headers are there: until its first byte. What the program waits for after that
is the body's (`http_body.py`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from microdelay.record import activities, redact
from microdelay.record.activities import local, waited
from microdelay.record.calls import Site
from microdelay.record.describing import describe as describing
from microdelay.record.describing.http import Items, http
from microdelay.record.details import MUTED
from microdelay.record.events import Label, cpu_now, now, push_span, state
from microdelay.record.families.http_body import ASKED_BYTES, Body
from microdelay.record.measure import CALLER, NO_CPU, Cpu, Describe, Details, caller_of, hide
from microdelay.record.patches import unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import HTTP

Pairs = Iterable[tuple[Any, Any]]
"""Names and values of headers, both text or both bytes."""

CLOSELY = 200
"""Requests from one place whose headers and answers are kept until they are written: value flow shows itself in far
fewer."""

MAX_PLACES = 10_000

MODEL_PATHS = (
    "/completions", "/responses", "/embeddings", "/messages", "/api/chat", "/api/generate", "/api/embed",
    ":generateContent", ":streamGenerateContent", ":embedContent", ":batchEmbedContents",
)  # fmt: skip
"""How the paths end under which language models are asked: OpenAI's and those made like it, Anthropic's, Ollama's,
Google's."""

describing.by_kind[HTTP] = http

_LABEL = Label(HTTP, "")

CONNECTION = "microdelay.connection"

APART_NS = 1_000_000
"""From here on the wait for a body that a client reads by itself is told apart from that for the headers: less is
often the client's own work."""


class _Wire(threading.local):
    body: Body | None = None  # of the answer that this thread got last


wire = _Wire()

requesting: set[int] = set()
"""Tasks in which a client library is timed: another that it stands on is not."""


class Client(NamedTuple):
    """How the facts of a request are taken from what a client's method was called with and gave (None if it raised).

    `describe` gives the details, also what is known of the answer, and its body where that has been read by then.
    `headers` gives those of the request and those of the answer; of a place that makes many requests it is not asked.
    """

    describe: Describe
    headers: Callable[[Any, tuple[Any, ...], dict[str, Any]], tuple[Pairs, Pairs]]


def requested(client: str, method: object, url: object, body: object = None) -> Details:
    """Give the raw facts of a request; the writer fingerprints and redacts them.

    `open` stays until the request has been written: as long, facts of the answer can be added.
    """
    if type(url).__name__ != "URL":  # those are made text by the writer, and do not change
        url = _text(url)[: redact.MAX_TEXT]
    details: Details = {"client": client, "method": method, "url": url, "open": True}
    if body:
        data = body.encode("utf-8", "replace") if isinstance(body, str) else body
        if isinstance(data, (bytes, bytearray)):
            _sent(details, bytes(data), str(url))
    return details


def _sent(details: Details, data: bytes, url: str) -> None:
    size = len(data)
    details["http.request.body.size"] = size
    details["body"] = data[: redact.TOKEN_BYTES]
    if data[:1] == b"{" and url.partition("?")[0].endswith(MODEL_PATHS):
        details["asked"] = data if size <= ASKED_BYTES else data[: ASKED_BYTES // 2] + data[-ASKED_BYTES // 2 :]
    if size > redact.TOKEN_BYTES:
        details["body_fingerprint"] = redact.body(data)


def answered(details: Details, status: object) -> None:
    """Add the status of an answer."""
    if isinstance(status, int):
        details["http.response.status_code"] = int(status)


def peers(address: object) -> tuple[Items, Items]:
    """Give what is said of a connection to `address` that is new, and of the same one when it is used again."""
    peer: Items = ()
    if isinstance(address, tuple):
        peer = ("network.peer.address", str(address[0])), ("network.peer.port", int(address[1]))
    return (*peer, (CONNECTION, "new")), (*peer, (CONNECTION, "reused"))


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)


def _no_body(result: Any) -> None:
    return None


def _last_body(result: Any) -> Body | None:
    body, wire.body = wire.body, None
    return body


def outermost(function: Callable[..., Any], client: Client) -> Callable[..., Any]:
    """Time `function` as an HTTP request unless a client library around it does already."""

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if local.in_http or not state.on:
            try:
                return function(*args, **kwargs)
            except BaseException as error:
                hide(error)
                raise
        local.in_http = True
        cpu_start, start = cpu_now(), now()
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            end = now()
            hide(error)
            local.in_http = False
            wire.body = None
            finish(start, end, (cpu_start, cpu_now()), client, None, args, kwargs, _no_body, error)
            raise
        end = now()
        local.in_http = False
        finish(start, end, (cpu_start, cpu_now()), client, result, args, kwargs, _last_body, None)
        return result

    return unnoticed(wrapper, function)


def outermost_async(
    function: Callable[..., Any], client: Client, body_of: Callable[[Any], Body | None]
) -> Callable[..., Any]:
    """Time a coroutine function likewise; what it stands on is not timed in the same task."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        task = activities.current_task() if state.on else 0
        if task in requesting or not state.on:
            try:
                return await function(*args, **kwargs)
            except BaseException as error:
                hide(error)
                raise
        if task:
            requesting.add(task)
        start = now()
        try:
            result = await function(*args, **kwargs)
        except BaseException as error:
            end = now()
            hide(error)
            requesting.discard(task)
            finish(start, end, NO_CPU, client, None, args, kwargs, _no_body, error)
            raise
        end = now()
        requesting.discard(task)
        finish(start, end, NO_CPU, client, result, args, kwargs, body_of, None)
        return result

    return unnoticed(wrapper, function)


def finish(
    start: int,
    end: int,
    cpu: Cpu,
    client: Client,
    result: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    body_of: Callable[[Any], Body | None],
    error: BaseException | None,
) -> None:
    """Record a request until its answer's headers, and what was read of the body by the time that it returned."""
    if not state.on:
        return
    try:
        activity, site = waited(caller_of(CALLER), start)
        details = _described(client, result, args, kwargs)
        headers_at = end
        body = body_of(result)
        if activity == MUTED:
            return
        if body is not None:
            if body.connection:
                details["connection"] = body.connection
            if "answer" not in details:
                body.belongs_to(details, start)
            elif start < body.answered_ns <= end - APART_NS:
                headers_at = body.answered_ns
        if _is_looked_at_closely(site) or "asked" in details:
            _keep_headers(details, client, result, args, kwargs)
        else:
            _forget_values(details)
        extra: Any = details
        if cpu is not NO_CPU or error is not None:
            extra = details, *cpu, "" if error is None else type(error).__name__
        push_span((_LABEL, start, headers_at, activity, site, extra))
        if headers_at != end:
            push_span((_LABEL, headers_at, end, activity, site, {"request": details, "part": "body"}))
    except Exception as problem:
        stand_aside("record http", problem)


def _described(client: Client, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    try:
        return client.describe(result, args, kwargs)
    except Exception as problem:
        stand_aside("describe http", problem)
        return {}


def _keep_headers(details: Details, client: Client, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    try:
        details["headers"], details["answer_headers"] = client.headers(result, args, kwargs)
    except Exception as problem:
        stand_aside("headers http", problem)


_closely: dict[tuple[int, int, int], int] = {}
"""Of places (which recording, the id of their code, an offset) how many more requests are looked at closely."""


def _is_looked_at_closely(site: Site) -> bool:
    place = activities.first_id, id(site[1]), site[2]
    left = _closely.get(place, CLOSELY)
    if left > 0:
        if len(_closely) >= MAX_PLACES:
            _closely.clear()
        _closely[place] = left - 1
    return left > 0


def _forget_values(details: Details) -> None:
    """Keep of the bodies only whether they are the same as others."""
    for body, fingerprint in (("body", "body_fingerprint"), ("answer", "answer_fingerprint")):
        value = details.pop(body, None)
        if value is not None and fingerprint not in details:
            details[fingerprint] = redact.fingerprint(value)


def together(messages: Iterable[Pairs]) -> Pairs:
    """Give the headers of an answer and of those that redirected to it."""
    return [pair for headers in messages for pair in headers]
