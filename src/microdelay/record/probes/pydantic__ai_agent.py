"""Pydantic AI ≥ 1.0: the turns of agents."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType, TracebackType
from typing import Any

from microdelay.record.events import state
from microdelay.record.families.agents import Turn
from microdelay.record.measure import hide
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside


def install(agent: ModuleType) -> None:
    """Time `Agent.iter`, through which `run`, `run_sync` and `run_stream` go, from its entering to its leaving."""
    replace(agent.Agent, "iter", _iter)


def _iter(iterate: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        manager = iterate(self, *args, **kwargs)
        if state.on:
            try:
                manager._microdelay_agent = self
                manager.__class__ = _recorded(type(manager))  # type: ignore[arg-type]  # a class is hashable
            except Exception as problem:
                stand_aside("agent's turn", problem)
        return manager

    return unnoticed(wrapper, iterate)


@functools.cache
def _recorded(base: Any) -> type[Any]:
    """Make the class of context managers that are timed.

    An agent looks for its own name in the frames of its callers, so that none of ours may stand among them.
    """

    def enter(self: Any) -> Any:
        self._microdelay_turn = Turn(self._microdelay_agent)
        return base.__aenter__(self)

    async def leave(
        self: Any, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Any:
        try:
            return await base.__aexit__(self, kind, error, traceback)
        except BaseException as problem:
            hide(problem)
            raise
        finally:
            self._microdelay_turn.finish(error)

    members = {
        "__module__": base.__module__,
        "__qualname__": base.__qualname__,
        "__aenter__": unnoticed(enter, base.__aenter__),
        "__aexit__": unnoticed(leave, base.__aexit__),
    }
    return type(base.__name__, (base,), members)
