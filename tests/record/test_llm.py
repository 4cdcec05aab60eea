"""Requests to language models, by the real SDKs and by plain clients, against a local server of their protocols."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.record.test_secrets import contents

from microdelay.spans import Span
from microdelay.traces import Recording, read

Record = Callable[..., Recording]

COMMAND = Path(sys.executable).with_name("microdelay")

PAUSE_S = 0.02
"""Between two pieces of a streamed answer: what the recorder is to see of it."""

USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16, "prompt_tokens_details": {"cached_tokens": 3}}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"at": "argumentsecret"}'},
}


class _Models(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    refused: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        path = self.path.partition("?")[0]
        name = str(asked.get("model", ""))
        if name.startswith("busy") and name not in self.refused:
            self.refused.add(name)
            self.answer({"error": {"message": "messagesecret", "type": "rate_limit"}}, 429)
        elif path.endswith("/embeddings"):
            data = [{"object": "embedding", "index": 0, "embedding": [0.5] * 10_000}]
            self.answer(
                {"object": "list", "model": name, "data": data, "usage": {"prompt_tokens": 4, "total_tokens": 4}}
            )
        elif path.endswith("/chat/completions"):
            self.chat(name, asked)
        elif path.endswith("/responses"):
            self.respond(name, asked)
        else:
            self.message(name, asked)

    def chat(self, name: str, asked: dict[str, Any]) -> None:
        head = {"id": "c", "created": 1, "model": f"{name}-2"}
        if not asked.get("stream"):
            message: dict[str, Any] = {"role": "assistant", "content": "answersecret"}
            if asked.get("tools"):
                message |= {"content": None, "tool_calls": [CALL, {**CALL, "id": "call_2"}]}
            choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if asked.get("tools") else "stop"}
            self.answer({**head, "object": "chat.completion", "choices": [choice], "usage": USAGE})
            return
        head["object"] = "chat.completion.chunk"
        pieces = [{"index": 0, "delta": {"role": "assistant", "content": "answersecret"}, "finish_reason": None}] * 5
        pieces += [{"index": 0, "delta": {}, "finish_reason": "stop"}]
        events = [{**head, "choices": [piece]} for piece in pieces] + [{**head, "choices": [], "usage": USAGE}]
        self.stream([f"data: {json.dumps(event)}\n\n" for event in events] + ["data: [DONE]\n\n"])

    def respond(self, name: str, asked: dict[str, Any]) -> None:
        said = "answersecret " * (1000 if asked.get("stream") else 1)  # longer than what is kept of a stream
        content = [{"type": "output_text", "text": said, "annotations": []}]
        output = [{"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": content}]
        usage = {
            "input_tokens": 12,
            "output_tokens": 6,
            "total_tokens": 18,
            "output_tokens_details": {"reasoning_tokens": 2},
        }
        usage["input_tokens_details"] = {"cached_tokens": 4}
        head = {
            "id": "r",
            "object": "response",
            "created_at": 1,
            "model": f"{name}-2",
            "tools": [],
            "tool_choice": "auto",
        }
        head |= {"parallel_tool_calls": True}
        whole = {**head, "status": "completed", "output": output, "usage": usage}
        if not asked.get("stream"):
            self.answer(whole)
            return
        delta = {"type": "response.output_text.delta", "item_id": "m", "output_index": 0, "content_index": 0}
        events: list[dict[str, Any]] = [{"type": "response.created", "response": {**head, "output": []}}]
        events += [{**delta, "delta": "answersecret ", "logprobs": []}] * 100
        events += [{"type": "response.completed", "response": whole}]
        numbered = [{**event, "sequence_number": number} for number, event in enumerate(events)]
        self.stream([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in numbered])

    def message(self, name: str, asked: dict[str, Any]) -> None:
        usage = {
            "input_tokens": 20,
            "cache_read_input_tokens": 30,
            "cache_creation_input_tokens": 5,
            "output_tokens": 1,
        }
        head = {"id": "m", "type": "message", "role": "assistant", "model": f"{name}-2", "stop_sequence": None}
        call = {"type": "tool_use", "id": "t", "name": "look_up", "input": {}}
        if not asked.get("stream"):
            content = [{"type": "text", "text": "answersecret"}, {**call, "input": {"word": "argumentsecret"}}]
            self.answer({**head, "content": content, "stop_reason": "tool_use", "usage": {**usage, "output_tokens": 9}})
            return
        start = {**head, "content": [], "stop_reason": None, "usage": usage}
        text = {"type": "text_delta", "text": "answersecret"}
        words = {"type": "input_json_delta", "partial_json": '{"word": "argumentsecret"}'}
        end = {"delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": {"output_tokens": 9}}
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            *[{"type": "content_block_delta", "index": 0, "delta": text}] * 3,
            {"type": "content_block_stop", "index": 0},
            {"type": "content_block_start", "index": 1, "content_block": call},
            {"type": "content_block_delta", "index": 1, "delta": words},
            {"type": "content_block_stop", "index": 1},
            {"type": "message_delta", **end},
            {"type": "message_stop"},
        ]
        self.stream([f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events])

    def answer(self, body: dict[str, Any], status: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Retry-After", "0.01")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def stream(self, events: list[str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number, event in enumerate(events):
            if number < 5:
                time.sleep(PAUSE_S)
            data = event.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def models() -> Iterator[str]:
    """Serve language models, and give the address."""
    _Models.refused.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Models)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


ASKING = """
    import asyncio, os
    from openai import OpenAI, AsyncOpenAI
    from anthropic import Anthropic, AsyncAnthropic
    options = dict(base_url=os.environ["MODELS"] + "/v1", api_key="keysecret", max_retries=2)
    claude_options = options | dict(base_url=os.environ["MODELS"])
    asked = [dict(role="user", content="promptsecret")]
    tools = [dict(type="function", function=dict(name="get_weather", description="toolsecret", parameters={}))]
    claude = dict(max_tokens=100, messages=asked)
"""

SYNC = """
    openai, anthropic = OpenAI(**options), Anthropic(**claude_options)
    chat = openai.chat.completions.create
    chat(model="plain-sync", messages=asked, max_tokens=7, temperature=0.5)
    chat(model="tools-sync", messages=asked, tools=tools)
    for chunk in chat(model="streamed-sync", messages=asked, stream=True): pass
    openai.embeddings.create(model="embedding-sync", input="promptsecret", encoding_format="float")
    openai.responses.create(model="response-sync", input="promptsecret")
    for event in openai.responses.create(model="events-sync", input="promptsecret", stream=True): pass
    chat(model="busy-sync", messages=asked)
    anthropic.messages.create(model="claude-sync", **claude)
    with anthropic.messages.stream(model="claude-streamed-sync", **claude) as stream:
        for text in stream.text_stream: pass
"""

ASYNC = """
    async def main():
        openai, anthropic = AsyncOpenAI(**options), AsyncAnthropic(**claude_options)
        chat = openai.chat.completions.create
        await chat(model="plain-async", messages=asked, max_tokens=7, temperature=0.5)
        await chat(model="tools-async", messages=asked, tools=tools)
        async for chunk in await chat(model="streamed-async", messages=asked, stream=True): pass
        await openai.embeddings.create(model="embedding-async", input="promptsecret", encoding_format="float")
        await openai.responses.create(model="response-async", input="promptsecret")
        async for event in await openai.responses.create(model="events-async", input="promptsecret", stream=True): pass
        await chat(model="busy-async", messages=asked)
        await anthropic.messages.create(model="claude-async", **claude)
        async with anthropic.messages.stream(model="claude-streamed-async", **claude) as stream:
            async for text in stream.text_stream: pass

    asyncio.run(main())
"""


PLAIN = """
    import aiohttp, httpx, httpx2, requests, urllib3
    address = os.environ["MODELS"] + "/openai/chat/completions?key=keysecret"

    def body(model, **more):
        return dict(messages=asked, model=model, **more)

    requests.post(address, json=body("by-requests")).json()
    for line in requests.post(address, json=body("requests-lines", stream=True), stream=True).iter_lines(): pass
    httpx.post(address, json=body("by-httpx"))
    with httpx2.stream("POST", address, json=body("httpx2-lines", stream=True)) as answer:
        for line in answer.iter_lines(): pass
    urllib3.request("POST", address, json=body("by-urllib3"))
    asking = dict(json=body("urllib3-pieces", stream=True), preload_content=False)
    for piece in urllib3.PoolManager().request("POST", address, **asking).stream(): pass

    async def others():
        async with aiohttp.ClientSession() as session:
            async with session.post(address, json=body("by-aiohttp")) as answer: await answer.json()
            async with session.post(address, json=body("aiohttp-lines", stream=True)) as answer:
                async for line in answer.content: pass
        async with httpx.AsyncClient() as client:
            await client.post(address, json=body("by-async-httpx"))
            async with client.stream("POST", address, json=body("httpx-whole", stream=True)) as answer:
                await answer.aread()
    asyncio.run(others())
"""


@pytest.fixture(scope="module")
def everything(models: str, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Record one program that asks in all ways."""
    folder = tmp_path_factory.mktemp("llm")
    program, made = folder / "program.py", folder / "program.mdr"
    program.write_text(textwrap.dedent(ASKING + SYNC + ASYNC + PLAIN))
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV", "PYTEST"))}
    command = [COMMAND, "run", "--no-report", "-o", made, program]
    done = subprocess.run(command, env=clean | {"MODELS": models}, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return read(made)


def asked_of(made: Recording, model: str) -> tuple[Span, list[Span]]:
    """Give the one request that asked a model, and the waits for its body."""
    spans = [span for span in made.spans if span.attributes.get("gen_ai.request.model") == model]
    (request,) = [span for span in spans if "part" not in span.attributes]
    return request, [span for span in spans if "part" in span.attributes]


def told(spans: tuple[Span, list[Span]]) -> dict[str, object]:
    """Give what the spans of one request say of the model, without the names' beginning."""
    request, parts = spans
    every = {key: value for span in (request, *parts) for key, value in span.attributes.items()}
    prefixes = ("gen_ai.", "microdelay.tool_")
    return {key.removeprefix("gen_ai."): value for key, value in every.items() if key.startswith(prefixes)}


@pytest.mark.parametrize("way", ["sync", "async"])
def test_the_sdks_requests_are_seen_with_model_tokens_and_first_chunk(way: str, everything: Recording) -> None:
    made = everything
    assert [span for span in made.spans if span.kind == "http"] == []
    assert all(span.attributes["http.request.method"] == "POST" for span in made.spans if span.kind == "llm")

    plain = asked_of(made, f"plain-{way}")
    assert plain[0].name == f"chat plain-{way}"
    assert plain[0].site is not None
    assert told(plain) == {
        "operation.name": "chat",
        "provider.name": "openai",
        "request.model": f"plain-{way}",
        "request.max_tokens": 7,
        "request.temperature": 0.5,
        "response.model": f"plain-{way}-2",
        "response.finish_reasons": "stop",
        "usage.input_tokens": 11,
        "usage.output_tokens": 5,
        "usage.cache_read.input_tokens": 3,
    }
    tools = told(asked_of(made, f"tools-{way}"))
    assert (tools["microdelay.tool_calls"], tools["microdelay.tool_names"]) == (2, "get_weather")
    assert tools["response.finish_reasons"] == "tool_calls"

    request, parts = asked_of(made, f"streamed-{way}")
    facts = told((request, parts))
    assert request.attributes["gen_ai.request.stream"] is True
    assert sum(part.duration_ns for part in parts) >= 2 * PAUSE_S * 1e9
    assert all(part.start_ns >= request.end_ns and part.kind == "llm" for part in parts)
    assert parts[-1].attributes["microdelay.stream_idle_ns"] >= 2 * PAUSE_S * 1e9
    assert facts["response.time_to_first_chunk"] >= PAUSE_S
    assert (facts["usage.input_tokens"], facts["usage.output_tokens"]) == (11, 5)
    assert (facts["response.model"], facts["response.finish_reasons"]) == (f"streamed-{way}-2", "stop")

    embedding = told(asked_of(made, f"embedding-{way}"))
    assert (embedding["operation.name"], embedding["usage.input_tokens"]) == ("embeddings", 4)
    for model in (f"response-{way}", f"events-{way}"):
        facts = told(asked_of(made, model))
        assert (facts["operation.name"], facts["response.model"]) == ("chat", f"{model}-2")
        assert (facts["usage.input_tokens"], facts["usage.output_tokens"]) == (12, 6)
        assert (facts["usage.cache_read.input_tokens"], facts["usage.reasoning.output_tokens"]) == (4, 2)
    for model in (f"claude-{way}", f"claude-streamed-{way}"):
        facts = told(asked_of(made, model))
        assert (facts["provider.name"], facts["operation.name"]) == ("anthropic", "chat")
        assert (facts["response.model"], facts["response.finish_reasons"]) == (f"{model}-2", "tool_use")
        assert (facts["usage.input_tokens"], facts["usage.output_tokens"]) == (55, 9)  # with those of the cache
        assert (facts["microdelay.tool_calls"], facts["microdelay.tool_names"]) == (1, "look_up")


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_retry_is_a_request_of_its_own_with_its_number(way: str, everything: Recording) -> None:
    made = everything
    busy = [span for span in made.spans if span.attributes.get("gen_ai.request.model") == f"busy-{way}"]
    requests = [span for span in busy if "part" not in span.attributes]
    assert [span.attributes["http.response.status_code"] for span in requests] == [429, 200]
    assert [span.attributes.get("http.request.resend_count") for span in requests] == [None, 1]
    first, second = requests
    pause = [span for span in made.spans if span.kind == "sleep" and first.end_ns <= span.start_ns < second.start_ns]
    assert len(pause) == 1


def test_nothing_of_prompts_answers_and_arguments_is_written(everything: Recording) -> None:
    text = contents(Path(everything.path))
    assert b"get_weather" in text
    secrets = ("keysecret", "promptsecret", "toolsecret", "answersecret", "argumentsecret", "messagesecret")
    assert [secret for secret in secrets if secret.encode() in text] == []


def test_any_client_s_request_to_a_model_is_recognised(everything: Recording) -> None:
    made = everything
    whole = ("by-requests", "by-httpx", "by-urllib3", "by-aiohttp", "by-async-httpx", "httpx-whole")
    streamed = ("requests-lines", "httpx2-lines", "urllib3-pieces", "aiohttp-lines")
    for model in whole + streamed:
        facts = told(asked_of(made, model))
        assert facts["response.model"] == f"{model}-2"
        assert (facts["usage.input_tokens"], facts["usage.output_tokens"]) == (11, 5)
    for model in streamed:
        assert told(asked_of(made, model))["response.time_to_first_chunk"] >= PAUSE_S


def test_long_prompts_are_recognised_and_other_requests_are_not(recording: Record, models: str) -> None:
    source = """
        import os, requests
        said = [dict(role="user", content='promptsecret "model": "wrong" ' * 5000)]
        requests.post(os.environ["MODELS"] + "/v1/chat/completions", json=dict(messages=said, model="right"))
        requests.post(os.environ["MODELS"] + "/v1/chat/completions", json=dict(no_model=1))
        requests.post(os.environ["MODELS"] + "/mail/messages", json=dict(model="car", colour="red"))
        requests.post(os.environ["MODELS"] + "/orders", json=dict(model="car", messages=[]))
    """
    made = recording(source, MODELS=models)
    assert told(asked_of(made, "right"))["usage.input_tokens"] == 11
    assert b"promptsecret" not in contents(Path(made.path))
    requests = [
        span for span in made.spans if "http.request.method" in span.attributes and "part" not in span.attributes
    ]
    assert [span.kind for span in requests] == ["llm", "http", "http", "http"]
