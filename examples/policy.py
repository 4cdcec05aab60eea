"""What the examples' language model says: a small policy that depends on the conversation alone.

In a turn it calls every tool that it is offered once, two at a time and in their order, then hands over to another
agent if the user's words name one, and then answers in words. Asked for JSON of a schema, it gives that.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any

CALLS_AT_ONCE = 2
DIMENSIONS = 64
CHARACTERS_PER_TOKEN = 4
OPENINGS = ("As far as I can tell", "From what I have read", "In short", "To the best of my knowledge")

Message = dict[str, Any]
Tool = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One tool called by the model; `arguments` is JSON."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says next: words, or calls of tools."""

    text: str = ""
    calls: list[Call] = field(default_factory=list)
    tokens_read: int = 0

    @property
    def words(self) -> list[str]:
        return re.findall(r"\s*\S+", self.text)

    @property
    def tokens(self) -> int:
        return count_tokens(self.text) + sum(count_tokens(call.name + call.arguments) for call in self.calls)


def count_tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def answer(messages: list[Message], tools: list[Tool], schema: dict[str, Any] | None) -> Answer:
    read = sum(count_tokens(json.dumps(message)) for message in messages)
    question, since = turn(messages)
    if schema is not None:
        return Answer(json.dumps(fill(schema, question, "")), tokens_read=read)
    called = [call["function"]["name"] for message in since for call in message.get("tool_calls") or ()]
    facts = [str(message.get("content") or "") for message in since if message["role"] == "tool"]
    chosen = next_calls(tools, called, question)
    if chosen:
        calls = [
            Call(
                f"call_{digest(question, tool['name'], len(messages))}", tool["name"], arguments(tool, question, facts)
            )
            for tool in chosen
        ]
        return Answer(calls=calls, tokens_read=read)
    return Answer(words_about(question, facts), tokens_read=read)


def turn(messages: list[Message]) -> tuple[str, list[Message]]:
    """The user's last message, and what was said and done since."""
    last = max((index for index, message in enumerate(messages) if message["role"] == "user"), default=-1)
    return text_of(messages[last]) if last >= 0 else "", messages[last + 1 :]


def text_of(message: Message) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(str(part.get("text", "")) for part in content)


def next_calls(tools: list[Tool], called: list[str], question: str) -> list[Tool]:
    handovers = [tool for tool in tools if tool["name"].startswith("transfer_to_")]
    open_tools = [tool for tool in tools if tool not in handovers and tool["name"] not in called]
    if open_tools:
        return open_tools[:CALLS_AT_ONCE]
    for tool in handovers:
        if tool["name"] not in called and set(tool["name"].split("_")[2:]) & set(re.findall(r"\w+", question.lower())):
            return [tool]
    return []


def arguments(tool: Tool, question: str, facts: list[str]) -> str:
    return json.dumps(fill(tool.get("parameters") or {}, question, " ".join(facts)))


def fill(schema: dict[str, Any], question: str, facts: str, named: str = "") -> Any:
    """A value that the schema allows: the number that the question names, or the first that a tool has said; words
    from the question."""
    match schema.get("type"):
        case "object":
            return {name: fill(each, question, facts, name) for name, each in schema.get("properties", {}).items()}
        case "array":
            return [fill(schema.get("items", {}), question, facts)]
        case "integer" | "number":
            told = re.findall(rf"{named} (\d+)", question, re.I) if named else []
            return int([*told, *re.findall(r"\d+", facts), *re.findall(r"\d+", question), "1"][0])
        case "boolean":
            return False
    return schema["enum"][0] if "enum" in schema else question[:80]


def words_about(question: str, facts: list[str]) -> str:
    opening = OPENINGS[int(digest(question), 16) % len(OPENINGS)]
    found = " ".join(" ".join(facts).split()[:20])
    return f"{opening}, about “{question[:60]}”: {found or 'there is nothing more to say'}. Shall I look further?"


def embedding(text: str) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        vector[int(digest(word), 16) % DIMENSIONS] += 1.0
    length = sum(value * value for value in vector) ** 0.5 or 1.0
    return [value / length for value in vector]


def digest(*parts: object) -> str:
    return hashlib.md5(" ".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()[:12]


# ------------------------------------------------------------------------------------- the two APIs, read as one


def tools_of(asked: dict[str, Any]) -> list[Tool]:
    return [tool.get("function", tool) for tool in asked.get("tools") or () if tool["type"] == "function"]


def schema_of(asked: dict[str, Any]) -> dict[str, Any] | None:
    """The schema of the JSON that is asked for, if any is."""
    form = (asked.get("text") or {}).get("format") or asked.get("response_format") or {}
    if form.get("type") != "json_schema":
        return None
    return form.get("schema") or form["json_schema"]["schema"]


def messages_of(asked: dict[str, Any]) -> list[Message]:
    """The input of /v1/responses as the messages of /v1/chat/completions."""
    items = asked["input"]
    if isinstance(items, str):
        return [{"role": "user", "content": items}]
    return [message for item in items if (message := message_of(item)) is not None]


def message_of(item: dict[str, Any]) -> Message | None:
    match item.get("type", "message"):
        case "message":
            return {"role": item["role"], "content": item["content"]}
        case "function_call":
            return {"role": "assistant", "tool_calls": [{"function": {"name": item["name"]}}]}
        case "function_call_output":
            return {"role": "tool", "content": item["output"]}
    return None
