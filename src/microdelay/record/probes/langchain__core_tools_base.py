"""LangChain's tools (langchain-core ≥ 1.0), also those that LangGraph runs."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.agents import USE, use
from microdelay.record.measure import Details, timed, timed_async
from microdelay.record.patches import replace
from microdelay.spans import TOOL


def install(base: ModuleType) -> None:
    """Time `BaseTool.run` and `arun`, through which `invoke` and `ainvoke` go."""
    replace(base.BaseTool, "run", lambda run: timed(run, TOOL, USE, _describe))
    replace(base.BaseTool, "arun", lambda run: timed_async(run, TOOL, USE, _describe))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    given = args[1] if len(args) > 1 else kwargs.get("tool_input")
    return use(args[0], given, getattr(result, "content", result))
