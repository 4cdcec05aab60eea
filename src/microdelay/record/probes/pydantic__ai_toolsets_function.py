"""Pydantic AI ≥ 1.0: the functions that agents have as tools."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from microdelay.record.families.agents import USE, use
from microdelay.record.measure import Details, timed_async
from microdelay.record.patches import replace
from microdelay.spans import TOOL


def install(function: ModuleType) -> None:
    """Time `FunctionToolset.call_tool`."""
    replace(function.FunctionToolset, "call_tool", lambda call: timed_async(call, TOOL, USE, _describe))


def _describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    tool = args[1] if len(args) > 1 else kwargs.get("name")
    given = args[2] if len(args) > 2 else kwargs.get("tool_args")
    return use(tool, given, result)
