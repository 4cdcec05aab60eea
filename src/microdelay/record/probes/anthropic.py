"""anthropic ≥ 0.40: the making of clients. What they ask is known for a model by the HTTP client below."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.setup import constructing
from microdelay.record.patches import replace


def install(anthropic: ModuleType) -> None:
    """Time `Anthropic()` and `AsyncAnthropic()`, each of which makes an HTTP client of its own."""
    for name in ("Anthropic", "AsyncAnthropic"):
        replace(getattr(anthropic, name), "__init__", constructing(f"anthropic.{name}"))
