"""What is written of a request to a language model: who was asked, how much, and how the answer ended.

Recognised by its path and its body, whichever client sent it: OpenAI's APIs and those made like them, Anthropic's,
Google's, Ollama's. Names follow OpenTelemetry's conventions for generative AI. No text of a prompt, an answer or a
tool's arguments is among it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from json import JSONDecodeError, JSONDecoder, loads  # before the probe of json replaces them
from typing import Any

from microdelay.record.describing.description import Attributes

MAX_UNPACKED_BYTES = 1024 * 1024
"""Of an answer that its client hands over compressed."""

_OPERATIONS = (
    ("/chat/completions", "chat"), ("/completions", "text_completion"), ("/responses", "chat"), ("/messages", "chat"),
    ("/embeddings", "embeddings"), ("/api/chat", "chat"), ("/api/generate", "text_completion"),
    ("/api/embed", "embeddings"), (":generateContent", "generate_content"),
    (":streamGenerateContent", "generate_content"), (":embedContent", "embeddings"),
    (":batchEmbedContents", "embeddings"),
)  # fmt: skip

_PROVIDERS = (
    ("api.openai.com", "openai"), ("openai.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("cognitiveservices.azure.com", "azure.ai.openai"), ("anthropic.com", "anthropic"), ("mistral.ai", "mistral_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"), ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("groq.com", "groq"), ("deepseek.com", "deepseek"), ("x.ai", "x_ai"), ("perplexity.ai", "perplexity"),
    ("cohere.com", "cohere"), ("cohere.ai", "cohere"), ("openrouter.ai", "openrouter"), ("together.xyz", "together_ai"),
    ("amazonaws.com", "aws.bedrock"),
)  # fmt: skip
"""By the end of the host's name."""

_PROMPTS = frozenset({"messages", "input", "prompt", "contents", "content", "requests"})
"""Members of which a request to a model has one."""

_NAME = re.compile(r"[\w.:/@+\-]{1,100}")
_MODEL = re.compile(rb'(?<!\\)"model"\s*:\s*"([\w.:/@+\-]{1,100})"')
_MODEL_IN_PATH = re.compile(r"/(?:models|deployments)/([\w.@\-]{1,100})[:/]")
_STREAM = re.compile(rb'(?<!\\)"stream"\s*:\s*true')
_USAGE = re.compile(r'(?<!\\)"usage(?:Metadata)?"\s*:\s*(?=\{)')
_PROMPT = re.compile(rb'(?<!\\)"(?:messages|input|prompt|contents|content|requests)"\s*:')

_REQUEST_NUMBERS = {
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
}

_USAGE_NUMBERS = {
    "prompt_tokens": "gen_ai.usage.input_tokens",
    "input_tokens": "gen_ai.usage.input_tokens",
    "promptTokenCount": "gen_ai.usage.input_tokens",
    "prompt_eval_count": "gen_ai.usage.input_tokens",
    "completion_tokens": "gen_ai.usage.output_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "candidatesTokenCount": "gen_ai.usage.output_tokens",
    "eval_count": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_read_input_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cachedContentTokenCount": "gen_ai.usage.cache_read.input_tokens",
    "cache_creation_input_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "thoughtsTokenCount": "gen_ai.usage.reasoning.output_tokens",
}

MAX_TOOL_NAMES = 10
"""Of one answer, written."""

_decoder = JSONDecoder()


def asked(body: bytes, host: str, path: str) -> Attributes | None:
    """Describe what a model is asked; None where the body is not that of such a request."""
    operation = next((name for end, name in _OPERATIONS if path.endswith(end)), "")
    asking = _object(body)
    found = _MODEL_IN_PATH.search(path)
    if asking is None:  # cut, as it is long
        match = _MODEL.search(body)
        model = match.group(1).decode() if match else found.group(1) if found else ""
        if not model or not _PROMPT.search(body):
            return None
        made: Attributes = {"gen_ai.request.stream": True} if _STREAM.search(body) else {}
    else:
        model = _name(asking.get("model")) or (found.group(1) if found else "")
        if not model or _PROMPTS.isdisjoint(asking):
            return None
        settings = asking.get("generationConfig") or asking.get("options")
        made = _numbers(asking, _REQUEST_NUMBERS) | _numbers(settings, _REQUEST_NUMBERS)
        if asking.get("stream") is True or path.endswith(":streamGenerateContent"):
            made["gen_ai.request.stream"] = True
    provider = next((name for end, name in _PROVIDERS if host.endswith(end)), "") or _shaped_like(path)
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        **made,
    }


def _shaped_like(path: str) -> str:
    if path.endswith("/messages"):
        return "anthropic"
    if path.endswith(("/api/chat", "/api/generate", "/api/embed")):
        return "ollama"
    return "gcp.gemini" if ":" in path.rpartition("/")[2] else "openai"


def answered(body: bytes | None) -> Attributes:
    """Describe an answer that came in one piece."""
    if not body:
        return {}
    if body[:2] == b"\x1f\x8b":
        try:
            body = zlib.decompressobj(31).decompress(body, MAX_UNPACKED_BYTES)
        except zlib.error:
            return {}
    answer = _object(body)
    found = _Answer()
    if answer is not None:
        found.add(answer)
    elif body[:1] == b"{":
        found.add_cut(body.decode("utf-8", "replace"))
    else:
        return streamed(body, False)  # a stream that was read at once
    return found.attributes(tools_known=answer is not None)


def streamed(body: bytes, is_cut: bool) -> Attributes:
    """Describe an answer that came as a stream of events, of which the first and last kilobytes are here."""
    found = _Answer()
    lost = ""
    for text in _events(body):
        event = _object(text)
        if event is None:
            lost = text.decode("utf-8", "replace")
        else:
            found.add(event)
    if lost and is_cut:
        found.add_cut(lost)  # the one that tells all at the end may be longer than what is kept
    return found.attributes(tools_known=not is_cut)


def _events(body: bytes) -> Iterator[bytes]:
    for line in body.splitlines():
        stripped = line.removeprefix(b"data:").strip().strip(b"[],")  # of Google's, which is one array
        if stripped and not stripped.startswith((b"event:", b"id:", b":")):
            yield stripped


class _Answer:
    """What the pieces of one answer tell, gathered."""

    def __init__(self) -> None:
        self.found: Attributes = {}
        self.reasons: dict[str, None] = {}
        self.tools: list[str] = []

    def add(self, piece: dict[str, Any]) -> None:
        """Take a whole answer, or one event of a stream."""
        for nested in (piece.get("response"), piece.get("message")):  # OpenAI's and Anthropic's events
            if isinstance(nested, dict):
                self.add(nested)
        model = _name(piece.get("model")) or _name(piece.get("modelVersion"))
        if model:
            self.found["gen_ai.response.model"] = model
        usage = piece.get("usage") or piece.get("usageMetadata")
        self.use(usage if isinstance(usage, dict) else piece)
        for choice in (piece, piece.get("delta"), *_dicts(piece.get("choices")), *_dicts(piece.get("candidates"))):
            if isinstance(choice, dict):
                self._choose(choice)
        if piece.get("type") == "response.completed":
            self.reasons["stop"] = None

    def _choose(self, choice: dict[str, Any]) -> None:
        for key in ("finish_reason", "stop_reason", "finishReason", "done_reason"):
            reason = _name(choice.get(key))
            if reason:
                self.reasons[reason] = None
        content = choice.get("content")
        parts = content.get("parts") if isinstance(content, dict) else content
        if isinstance(choice.get("content_block"), dict):
            parts = [choice["content_block"]]
        for part in (*_dicts(parts), *_dicts(choice.get("output"))):
            if part.get("type") in ("tool_use", "function_call"):
                self._call(part)
            elif isinstance(part.get("functionCall"), dict):
                self._call(part["functionCall"])
        for message in (choice.get("message"), choice.get("delta")):
            if isinstance(message, dict):
                for call in _dicts(message.get("tool_calls")):
                    self._call(call.get("function"))

    def _call(self, function: object) -> None:
        name = _name(function.get("name")) if isinstance(function, dict) else ""
        if name:  # a stream repeats a call without it
            self.tools.append(name)

    def use(self, usage: dict[str, Any]) -> None:
        """Take the numbers of tokens."""
        numbers = _numbers(usage, _USAGE_NUMBERS)
        for key, value in usage.items():
            if key.endswith("_tokens_details"):
                numbers |= _numbers(value, _USAGE_NUMBERS)
        if "cache_read_input_tokens" in usage or "cache_creation_input_tokens" in usage:
            # Anthropic counts them apart; the convention is that they are among the input's.
            read, made = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
            cached = sum(number for number in (read, made) if isinstance(number, int))
            if "gen_ai.usage.input_tokens" in numbers:
                numbers["gen_ai.usage.input_tokens"] += cached  # type: ignore[operator]
        self.found |= numbers

    def add_cut(self, text: str) -> None:
        """Take what can be read of JSON that has lost a part: the number of tokens stands near its end."""
        for match in _USAGE.finditer(text):
            try:
                usage, _ = _decoder.raw_decode(text, match.end())
            except JSONDecodeError:
                continue
            self.use(usage)
        match_model = _MODEL.search(text.encode())
        if match_model:
            self.found.setdefault("gen_ai.response.model", match_model.group(1).decode())

    def attributes(self, tools_known: bool) -> Attributes:
        """Give it as attributes; how many tools were asked for only where nothing was cut away."""
        made = dict(self.found)
        if self.reasons:
            made["gen_ai.response.finish_reasons"] = ",".join(self.reasons)
        if self.tools and tools_known:
            made["microdelay.tool_calls"] = len(self.tools)
            made["microdelay.tool_names"] = ",".join(list(dict.fromkeys(self.tools))[:MAX_TOOL_NAMES])
        return made


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        value = loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _dicts(value: object) -> Iterable[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else ()


def _name(value: object) -> str:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""


def _numbers(value: object, names: dict[str, str]) -> Attributes:
    if not isinstance(value, dict):
        return {}
    return {
        name: value[key]
        for key, name in names.items()
        if isinstance(value.get(key), (int, float)) and not isinstance(value[key], bool)
    }
