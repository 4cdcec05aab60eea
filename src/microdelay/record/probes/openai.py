"""openai ≥ 1.40: the making of clients. What they ask is known for a model by the HTTP client below."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.setup import constructing
from microdelay.record.patches import replace


def install(openai: ModuleType) -> None:
    """Time `OpenAI()` and `AsyncOpenAI()`, each of which makes an HTTP client of its own."""
    for name in ("OpenAI", "AsyncOpenAI"):
        replace(getattr(openai, name), "__init__", constructing(f"openai.{name}"))
