"""LangGraph ≥ 1.0: the turns of graphs and the nodes that they run. A graph inside another is a turn in its turn."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record.events import now
from microdelay.record.families.agents import streamed, streamed_async
from microdelay.record.measure import BY_HELPER, NO_CPU, Details, hide, record
from microdelay.record.patches import loaded, replace, replace_in_all, unnoticed
from microdelay.spans import INTERNAL

NODE_OWNERS = ("langgraph.pregel._retry", "langgraph.pregel._runner")

START = "__start__"
"""A node of the framework's own, which hands the input on."""


def install(pregel: ModuleType) -> None:
    """Time `Pregel.stream` and `astream`, through which `invoke` and `ainvoke` go, and each node with its retries."""
    replace(pregel.Pregel, "stream", streamed)
    replace(pregel.Pregel, "astream", streamed_async)
    owners = loaded(*NODE_OWNERS)
    if owners:
        replace_in_all(owners, "run_with_retry", _node)
        replace_in_all(owners, "arun_with_retry", _async_node)


def _node(run: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(task: Any, *args: Any, **kwargs: Any) -> Any:
        start = now()
        try:
            result = run(task, *args, **kwargs)
        except BaseException as error:
            hide(error)
            _finish(task, start, error)
            raise
        _finish(task, start)
        return result

    return unnoticed(wrapper, run)


def _async_node(run: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(task: Any, *args: Any, **kwargs: Any) -> Any:
        start = now()
        try:
            result = await run(task, *args, **kwargs)
        except BaseException as error:
            hide(error)
            _finish(task, start, error)
            raise
        _finish(task, start)
        return result

    return unnoticed(wrapper, run)


def _finish(task: Any, start: int, error: BaseException | None = None) -> None:
    if task.name == START:
        return
    details: Details = {"langgraph.node": str(task.name)}
    config = getattr(task, "config", None)
    step = (config.get("metadata") or {}).get("langgraph_step") if isinstance(config, dict) else None
    if isinstance(step, int):
        details["langgraph.step"] = step
    record(INTERNAL, f"node {task.name}", start, now(), NO_CPU, details, error, BY_HELPER)
