"""What the probes of httpx and of its successor share: the two have the same classes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

from microdelay.record.describing.http import Items
from microdelay.record.events import now, state
from microdelay.record.families.http import (
    Client,
    Pairs,
    answered,
    outermost,
    outermost_async,
    peers,
    requested,
    together,
    wire,
)  # fmt: skip
from microdelay.record.families.http_body import Body, arrived
from microdelay.record.families.setup import constructing
from microdelay.record.measure import Describe, Details, hide
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside


def install_in(library: ModuleType, name: str) -> None:
    """Time `Client.send` and `AsyncClient.send` with their redirects, and what is read of the bodies."""
    client = Client(_describing(name), _headers)
    replace(library.Client, "send", lambda send: outermost(send, client))
    replace(library.AsyncClient, "send", lambda send: outermost_async(send, client, _body_of))
    replace(library.Client, "_send_single_request", _single)
    replace(library.AsyncClient, "_send_single_request", _single_async)
    replace(library.Client, "__init__", constructing(f"{name}.Client"))
    replace(library.AsyncClient, "__init__", constructing(f"{name}.AsyncClient"))
    replace(library.Response, "read", _read)
    replace(library.Response, "aread", _read_async)
    streams = library._client
    replace(streams.BoundSyncStream, "__iter__", _iterated)
    replace(streams.BoundAsyncStream, "__aiter__", _iterated_async)


def _describing(name: str) -> Describe:
    def describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
        request = args[1] if len(args) > 1 else kwargs["request"]
        body = getattr(request, "_content", None)
        details = requested(name, request.method, request.url, body)
        if result is not None:
            answered(details, result.status_code)
            arrived(details, getattr(result, "_content", None))
        return details

    return describe


def _headers(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Pairs, Pairs]:
    sent = (args[1] if len(args) > 1 else kwargs["request"]).headers.raw
    return sent, together(each.headers.raw for each in (*result.history, result)) if result is not None else ()


def _body_of(response: Any) -> Body | None:
    return vars(response.stream).get("_microdelay") if hasattr(response.stream, "__dict__") else None


def _single(send: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, request: Any) -> Any:
        try:
            response = send(self, request)
        except BaseException as error:
            hide(error)
            raise
        wire.body = _followed(response)
        return response

    return unnoticed(wrapper, send)


def _single_async(send: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(self: Any, request: Any) -> Any:
        try:
            response = await send(self, request)
        except BaseException as error:
            hide(error)
            raise
        _followed(response)
        return response

    return unnoticed(wrapper, send)


def _followed(response: Any) -> Body | None:
    """Put what is to become of the body on the stream that it is read from, which is not pickled with the response."""
    if not state.on:
        return None
    try:
        body = Body(now(), _connection(response))
        response.stream._microdelay = body
        return body
    except Exception as problem:
        stand_aside("httpx response", problem)
        return None


def _connection(response: Any) -> Items:
    """Tell a connection that this request opened from one that it found, by the requests that were made on it."""
    made: Any = response.stream
    for name in ("_stream", "_httpcore_stream"):
        made = getattr(made, name, None)
    waiting = getattr(made, "_pool_request", None) or getattr(made, "_status", None)  # the latter before httpcore 1.0.3
    made = getattr(waiting, "connection", None)
    while made is not None and not hasattr(made, "_request_count"):
        made = getattr(made, "_connection", None)  # through those of proxies
    if made is None:
        return ()
    known: Items | None = vars(made).get("_microdelay")
    if made._request_count > 1 and known is not None:
        return known
    stream = response.extensions.get("network_stream")
    new, reused = peers(stream.get_extra_info("server_addr") if stream is not None else None)
    made._microdelay = reused
    return new if made._request_count == 1 else reused


def _read(read: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what is read at once of a streamed answer."""

    def wrapper(self: Any) -> Any:
        body = _unread(self)
        try:
            answer = read(self)
        except BaseException as error:
            hide(error)
            _was_read(body, None, error)
            raise
        _was_read(body, answer)
        return answer

    return unnoticed(wrapper, read)


def _read_async(read: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(self: Any) -> Any:
        body = _unread(self)
        try:
            answer = await read(self)
        except BaseException as error:
            hide(error)
            _was_read(body, None, error)
            raise
        _was_read(body, answer)
        return answer

    return unnoticed(wrapper, read)


def _was_read(body: Body | None, answer: object, error: BaseException | None = None) -> None:
    if body is not None:
        body.given(answer, "" if error is None else type(error).__name__)


def _unread(response: Any) -> Body | None:
    """Give the body of an answer that is to be read at once, outside of the request's own span."""
    if "_content" in vars(response):
        return None
    body = _body_of(response)
    if body is None or not body.begun_ns or body.touched:
        return None
    body.whole = True
    return body


def _to_follow(stream: Any) -> Body | None:
    body: Body | None = vars(stream).get("_microdelay")
    if body is None or not body.begun_ns or body.touched:
        return None
    body.touched = not body.whole
    return body


def _iterated(iterate: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any) -> Any:
        body = _to_follow(self)
        chunks = iterate(self)
        return chunks if body is None else _chunks(chunks, body)

    return unnoticed(wrapper, iterate)


def _chunks(chunks: Any, body: Body) -> Iterator[bytes]:
    try:
        while True:
            start = now()
            try:
                chunk = next(chunks)
            except StopIteration:
                return
            except BaseException as error:
                hide(error)
                raise
            body.waited(start, now(), chunk)
            yield chunk
    finally:
        if not body.whole:
            body.finish()
        chunks.close()


def _iterated_async(iterate: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any) -> Any:
        body = _to_follow(self)
        chunks = iterate(self)
        return chunks if body is None else _chunks_async(chunks, body)

    return unnoticed(wrapper, iterate)


async def _chunks_async(chunks: Any, body: Body) -> AsyncIterator[bytes]:
    try:
        while True:
            start = now()
            try:
                chunk = await chunks.__anext__()
            except StopAsyncIteration:
                return
            except BaseException as error:
                hide(error)
                raise
            body.waited(start, now(), chunk)
            yield chunk
    finally:
        if not body.whole:
            body.finish()
        await chunks.aclose()
