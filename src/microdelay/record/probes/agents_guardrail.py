"""The OpenAI Agents SDK ≥ 0.5: the guardrails around its agents."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.agents import named
from microdelay.record.measure import Details, timed_async
from microdelay.record.patches import replace
from microdelay.spans import INTERNAL


def install(guardrail: ModuleType) -> None:
    """Time `run` of guardrails of input and of output."""
    for name in ("InputGuardrail", "OutputGuardrail"):
        if hasattr(guardrail, name):  # else another library of this common name
            replace(getattr(guardrail, name), "run", lambda run: timed_async(run, INTERNAL, "guardrail", _describe))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    function = getattr(args[0], "guardrail_function", None)
    return {"agents.guardrail": named(args[0]) or getattr(function, "__name__", "")}
