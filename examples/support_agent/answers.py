"""What the services of the world answer: each answer follows from the content of the request alone."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CONFIG = {
    "version": 42,
    "model": "support-1",
    "max_tokens": 120,
    "messages_to_read": 4,
    "escalate_below": -0.35,
    "refund_limit": 120.0,
    "voucher_share": 0.1,
}
FORECASTS = ("clear", "rain", "storm", "snow", "fog")
TIERS = ("basic", "silver", "gold")
ACTIONS = ("refund", "voucher", "replacement", "apology")
COMPLAINTS = (
    "Order {order} is late for the third time.",
    "The parcel of order {order} arrived broken, I want my money back.",
    "Thank you, order {order} came quickly.",
    "Where is order {order}? Nobody answers.",
    "Order {order} was great, please change the address of the next one.",
    "I was charged twice for order {order}.",
)
WORD_SCORES = {"late": -0.5, "broken": -0.8, "nobody": -0.6, "twice": -0.7, "thank": 0.7, "great": 0.8, "please": 0.2}
MESSAGES_IN_CRM = 6


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, and the dice that its content alone decides."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    keep_alive: bool

    @property
    def endpoint(self) -> str:
        return f"{self.method} {self.path}"

    def dice(self, purpose: str) -> random.Random:
        """Random numbers that are the same for the same request in every run."""
        content = json.dumps([self.endpoint, self.query, self.body], sort_keys=True)
        return random.Random(f"{purpose} {content}")


def weather(request: Request) -> dict[str, Any]:
    dice = request.dice("answer")
    return {"city": request.query["city"], "forecast": dice.choice(FORECASTS), "wind_kmh": dice.randint(0, 90)}


def finance(request: Request) -> dict[str, Any]:
    dice = request.dice("answer")
    return {
        "account": request.query["account"],
        "balance": round(dice.uniform(-200, 900), 2),
        "open_invoices": dice.randint(0, 3),
    }


def crm(request: Request) -> dict[str, Any]:
    dice = request.dice("answer")
    orders = dice.sample(range(10_000, 99_999), MESSAGES_IN_CRM)
    messages = [{"order": order, "text": dice.choice(COMPLAINTS).format(order=order)} for order in orders]
    return {"customer": request.query["user_id"], "tier": dice.choice(TIERS), "last_messages": messages}


def sentiment(request: Request) -> dict[str, Any]:
    words = request.body["text"].lower().replace(",", " ").replace(".", " ").replace("?", " ").split()
    scores = [WORD_SCORES[word] for word in words if word in WORD_SCORES]
    return {"score": round(sum(scores) / len(scores), 2) if scores else 0.0}


def completion_text(request: Request) -> str:
    action = request.dice("answer").choice(ACTIONS)
    return f"{action}: we are sorry about the trouble, and this is how we would like to make it right."


def completion(request: Request) -> dict[str, Any]:
    text = completion_text(request)
    prompt_words = sum(len(message["content"].split()) for message in request.body["messages"])
    words = len(text.split())
    return {
        "id": "chatcmpl-support",
        "object": "chat.completion",
        "created": 0,
        "model": request.body["model"],
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": prompt_words, "completion_tokens": words, "total_tokens": prompt_words + words},
    }


def completion_chunks(request: Request) -> list[bytes]:
    """The server-sent events of a streamed completion, one a word."""

    def event(delta: dict[str, str], finish_reason: str | None) -> bytes:
        chunk = {
            "id": "chatcmpl-support",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": request.body["model"],
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        }
        return f"data: {json.dumps(chunk)}\n\n".encode()

    first, *others = completion_text(request).split(" ")
    return [
        event({"role": "assistant", "content": first}, None),
        *(event({"content": f" {word}"}, None) for word in others),
        event({}, "stop"),
        b"data: [DONE]\n\n",
    ]


ANSWERS: dict[str, Callable[[Request], Any]] = {
    "GET /weather": weather,
    "GET /finance": finance,
    "GET /crm": crm,
    "GET /config": lambda request: CONFIG,
    "POST /sentiment": sentiment,
    "POST /v1/chat/completions": completion,
}
