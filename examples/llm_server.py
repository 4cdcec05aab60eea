"""A language model for the examples: an OpenAI-compatible server on loopback, in a process of its own.

    python llm_server.py [--port PORT] [--pace 1.0]     serve, print the address
    with llm_server.available() as address: ...         the one that OPENAI_BASE_URL names; else start one, and name it

It answers /v1/chat/completions and /v1/responses (streamed or not) and /v1/embeddings. What it says and how long that
takes follow from the conversation alone; `policy.py` beside it decides. The process ends with its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import policy
from aiohttp import web
from server_process import serving

FIRST_TOKEN = 0.15  # seconds, of a pace of 1
TOKENS_PER_SECOND = 250
EMBEDDING = 0.02  # seconds a request
PACE = web.AppKey("pace", float)

Event = dict[str, Any]


async def chat_completions(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    answer = policy.answer(asked["messages"], policy.tools_of(asked), policy.schema_of(asked))
    pace = request.app[PACE]
    if not asked.get("stream"):
        await asyncio.sleep(pace * (FIRST_TOKEN + answer.tokens / TOKENS_PER_SECOND))
        return web.json_response(completion(asked, answer))
    return await stream(request, paced(chunks(asked, answer), answer.tokens, pace), end="data: [DONE]\n\n")


async def responses(request: web.Request) -> web.StreamResponse:
    asked = await request.json()
    answer = policy.answer(policy.messages_of(asked), policy.tools_of(asked), policy.schema_of(asked))
    pace = request.app[PACE]
    if not asked.get("stream"):
        await asyncio.sleep(pace * (FIRST_TOKEN + answer.tokens / TOKENS_PER_SECOND))
        return web.json_response(response(asked, answer))
    return await stream(request, paced(events(asked, answer), answer.tokens, pace))


async def embeddings(request: web.Request) -> web.Response:
    asked = await request.json()
    texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
    await asyncio.sleep(request.app[PACE] * EMBEDDING)
    data = [
        {"object": "embedding", "index": index, "embedding": policy.embedding(text)} for index, text in enumerate(texts)
    ]
    tokens = sum(len(text.split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return web.json_response({"object": "list", "model": asked["model"], "data": data, "usage": usage})


# --------------------------------------------------------------------------------------------- /v1/chat/completions


def completion(asked: Event, answer: policy.Answer) -> Event:
    message: Event = {"role": "assistant", "content": answer.text or None}
    if answer.calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in answer.calls
        ]
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if answer.calls else "stop"}
    return head(asked, "chat.completion") | {"choices": [choice], "usage": chat_usage(answer)}


def chunks(asked: Event, answer: policy.Answer) -> Iterator[Event]:
    def chunk(delta: Event, finish_reason: str | None = None) -> Event:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return head(asked, "chat.completion.chunk") | {"choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    for word in answer.words:
        yield chunk({"content": word})
    for index, call in enumerate(answer.calls):
        function = {"name": call.name, "arguments": ""}
        yield chunk({"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]})
        yield chunk({"tool_calls": [{"index": index, "function": {"arguments": call.arguments}}]})
    yield chunk({}, "tool_calls" if answer.calls else "stop")
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield head(asked, "chat.completion.chunk") | {"choices": [], "usage": chat_usage(answer)}


def head(asked: Event, kind: str) -> Event:
    return {"id": "chatcmpl-local", "object": kind, "created": 0, "model": asked["model"]}


def chat_usage(answer: policy.Answer) -> Event:
    read, written = answer.tokens_read, answer.tokens
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


# --------------------------------------------------------------------------------------------------- /v1/responses


def response(asked: Event, answer: policy.Answer, status: str = "completed") -> Event:
    read, written = answer.tokens_read, answer.tokens
    usage = {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": read + written,
    }
    return {
        "id": "resp_local",
        "object": "response",
        "created_at": 0,
        "model": asked["model"],
        "status": status,
        "output": output_items(answer) if status == "completed" else [],
        "usage": usage if status == "completed" else None,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
    }


def output_items(answer: policy.Answer) -> list[Event]:
    items: list[Event] = [
        {"type": "function_call", "id": f"fc_{call.id}", "call_id": call.id, "name": call.name,
         "arguments": call.arguments, "status": "completed"}
        for call in answer.calls
    ]  # fmt: skip
    if answer.text:
        part = {"type": "output_text", "text": answer.text, "annotations": []}
        items.append(
            {"type": "message", "id": "msg_local", "role": "assistant", "status": "completed", "content": [part]}
        )
    return items


def events(asked: Event, answer: policy.Answer) -> Iterator[Event]:
    number = 0

    def event(kind: str, **fields: Any) -> Event:
        nonlocal number
        number += 1
        return {"type": f"response.{kind}", "sequence_number": number, **fields}

    yield event("created", response=response(asked, answer, "in_progress"))
    for index, item in enumerate(output_items(answer)):
        at = {"output_index": index, "item_id": item["id"]}
        is_call = item["type"] == "function_call"
        started = item | ({"arguments": ""} if is_call else {"content": []}) | {"status": "in_progress"}
        yield event("output_item.added", output_index=index, item=started)
        if is_call:
            yield event("function_call_arguments.delta", **at, delta=item["arguments"])
            yield event("function_call_arguments.done", **at, name=item["name"], arguments=item["arguments"])
        else:
            part = item["content"][0]
            yield event("content_part.added", **at, content_index=0, part=part | {"text": ""})
            for word in answer.words:
                yield event("output_text.delta", **at, content_index=0, delta=word, logprobs=[])
            yield event("output_text.done", **at, content_index=0, text=answer.text, logprobs=[])
            yield event("content_part.done", **at, content_index=0, part=part)
        yield event("output_item.done", output_index=index, item=item)
    yield event("completed", response=response(asked, answer))


# -------------------------------------------------------------------------------------------------- the connection


async def paced(items: Iterator[Event], tokens: int, pace: float) -> AsyncIterator[str]:
    """Server-sent events: the first after FIRST_TOKEN, the rest spread over the time that the tokens take."""
    listed = list(items)
    await asyncio.sleep(pace * FIRST_TOKEN)
    for item in listed:
        name = f"event: {item['type']}\n" if "type" in item else ""
        yield f"{name}data: {json.dumps(item)}\n\n"
        await asyncio.sleep(pace * tokens / TOKENS_PER_SECOND / len(listed))


async def stream(request: web.Request, parts: AsyncIterator[str], end: str = "") -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await answer.prepare(request)
    async for part in parts:
        await answer.write(part.encode())
    await answer.write_eof(end.encode())
    return answer


# ----------------------------------------------------------------------------------------------------- the process


async def serve(port: int, pace: float) -> None:
    app = web.Application()
    app[PACE] = pace
    app.router.add_post("/v1/chat/completions", chat_completions)
    app.router.add_post("/v1/responses", responses)
    app.router.add_post("/v1/embeddings", embeddings)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


@contextmanager
def running(pace: float = 1.0) -> Iterator[str]:
    """A server in a process of its own for the length of the block: its address, http://127.0.0.1:40123/v1."""
    with serving("the language model", Path(__file__), "--pace", str(pace)) as address:
        yield address


@contextmanager
def available(pace: float = 1.0) -> Iterator[str]:
    """The address of the server that OPENAI_BASE_URL names; one is started, and named there, when it names none."""
    os.environ.setdefault("OPENAI_API_KEY", "sk-local")
    if address := os.environ.get("OPENAI_BASE_URL"):
        yield address
        return
    with running(pace) as address:
        os.environ["OPENAI_BASE_URL"] = address
        try:
            yield address
        finally:
            del os.environ["OPENAI_BASE_URL"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a scripted language model on loopback until stdin is closed.")
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: a free one)")
    parser.add_argument("--pace", type=float, default=1.0, help="multiplies every delay (default: %(default)s)")
    arguments = parser.parse_args()
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(arguments.port, arguments.pace))


if __name__ == "__main__":
    main()
