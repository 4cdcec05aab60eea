"""The OpenAI Agents SDK ≥ 0.5 (its module is `agents`): the turns of agents, streamed or not, and their tools."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.families.agents import USE, called, use
from microdelay.record.measure import Details, timed_async
from microdelay.record.patches import loaded, of_class, replace, replace_in_all
from microdelay.spans import TOOL

TOOL_OWNERS = ("agents.tool", "agents.run_internal.tool_execution")
STREAM_OWNERS = ("agents.run_internal.run_loop", "agents.run")


def install(run: ModuleType) -> None:
    """Time `AgentRunner.run`, which `run_sync` calls, the task that `run_streamed` makes, and each tool."""
    runner = getattr(run, "AgentRunner", None)
    if runner is None:
        return  # another library of this common name
    replace(runner, "run", _turn)
    if hasattr(runner, "_start_streaming"):  # until 0.7
        replace(runner, "_start_streaming", of_class(_turn))
    else:
        replace_in_all(loaded(*STREAM_OWNERS), "start_streaming", _turn)
    older = getattr(sys.modules.get("agents._run_impl"), "RunImpl", None)
    owners = loaded(*TOOL_OWNERS)
    if hasattr(older, "_execute_tool_with_hooks"):  # until 0.8
        replace(older, "_execute_tool_with_hooks", of_class(_tool))
    elif hasattr(owners[0], "_invoke_function_tool_with_metadata"):
        replace_in_all(owners, "_invoke_function_tool_with_metadata", _tool)
    else:
        replace_in_all(owners, "invoke_function_tool", _tool)


def _turn(run: Callable[..., Any]) -> Callable[..., Any]:
    return called(run, _agent)


def _tool(invoke: Callable[..., Any]) -> Callable[..., Any]:
    return timed_async(invoke, TOOL, USE, _describe_tool)


def _agent(args: tuple[Any, ...], kwargs: dict[str, Any]) -> object:
    return kwargs.get("starting_agent") or (args[1] if len(args) > 1 else None)


def _describe_tool(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    tool = kwargs.get("function_tool") or kwargs.get("func_tool")
    given = kwargs["arguments"] if "arguments" in kwargs else getattr(kwargs.get("tool_call"), "arguments", None)
    return use(tool, given, getattr(result, "output", result))
