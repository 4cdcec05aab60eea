"""What the probes of agent frameworks share: the turns of agents, the tools that they use.

Prompts, answers, arguments and results stay where they are: of a tool's, fingerprints are written. The requests to
language models are those of their HTTP clients.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from microdelay.record import activities, redact, roots
from microdelay.record.describing import describe as describing
from microdelay.record.describing import units
from microdelay.record.events import Label, now, state
from microdelay.record.measure import NO_CPU, Details, hide, record
from microdelay.record.patches import unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import AGENT, TOOL

describing.by_kind[AGENT] = units.agent
describing.by_kind[TOOL] = units.tool

TURN = "invoke_agent"
USE = "execute_tool"

MAX_NAME_CHARACTERS = 200
"""Of an agent or a tool; of a tool's, models take 64."""

MAX_DEPTH = 4
"""Levels of a tool's arguments and result that are looked at."""


def turn(agent: object) -> Details:
    """Describe a turn of `agent`."""
    return {"gen_ai.operation.name": TURN, "gen_ai.agent.name": named(agent)}


def use(tool: object, arguments: object, answer: object) -> Details:
    """Describe the execution of a tool, which has a name or is one."""
    details: Details = {"gen_ai.operation.name": USE, "gen_ai.tool.name": named(tool), "gen_ai.tool.type": "function"}
    details["arguments"] = str(redact.plain(arguments, MAX_DEPTH))
    if answer is not None:
        details["answer"] = str(redact.plain(answer, MAX_DEPTH))
    return details


def named(who: object) -> str:
    """Give the name of an agent or a tool, or what is a name already; "" where there is none."""
    name = who if isinstance(who, str) else getattr(who, "name", "")
    return name[:MAX_NAME_CHARACTERS] if isinstance(name, str) else ""


class Turn:
    """A turn that is taken piece by piece, as its consumer asks for it."""

    __slots__ = ("_activity", "_agent", "_start", "_trace")

    def __init__(self, agent: object) -> None:
        self._agent = agent
        self._activity = 0
        self._trace = roots.begin(AGENT, named(agent))
        self._start = now()
        if state.on:
            try:
                self._activity = activities.current()
            except Exception as problem:
                stand_aside("agent's turn", problem)

    def finish(self, error: BaseException | None = None, depth: int = 1) -> None:
        """Record it, as seen from the wrapper that calls this.

        One that was handed from thread to thread, or closed by the garbage collector, stands on no activity's line.
        """
        trace, ended = self._trace, None if isinstance(error, GeneratorExit) else error
        if trace:
            failure = "" if ended is None else type(ended).__name__
            roots.end(trace, Label(AGENT, TURN, turn(self._agent), failure), self._start, now())
            return
        if state.on and self._activity:
            self._record(ended, depth + 1)
        if trace is not None:
            roots.end(trace)

    def _record(self, ended: BaseException | None, depth: int) -> None:
        try:
            if activities.current() == self._activity:
                record(AGENT, TURN, self._start, now(), NO_CPU, turn(self._agent), ended, depth + 1)
        except Exception as problem:
            stand_aside("agent's turn", problem)


def called(run: Callable[..., Any], who: Callable[[tuple[Any, ...], dict[str, Any]], object]) -> Callable[..., Any]:
    """Wrap a coroutine function that is a turn of the agent that `who` finds in its arguments."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        taken = Turn(who(args, kwargs))
        try:
            result = await run(*args, **kwargs)
        except BaseException as error:
            hide(error)
            taken.finish(error)
            raise
        taken.finish()
        return result

    return unnoticed(wrapper, run)


def streamed(stream: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a method that is a generator of a turn's pieces: the turn lasts until the last one is taken."""

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        taken = Turn(self)
        try:
            result = yield from stream(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            taken.finish(error)
            raise
        taken.finish()
        return result

    return unnoticed(wrapper, stream)


def streamed_async(stream: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap one that is an async generator likewise."""

    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        taken = Turn(self)
        pieces = stream(self, *args, **kwargs)
        try:
            async for piece in pieces:
                yield piece
        except BaseException as error:
            hide(error)
            await pieces.aclose()  # nothing, unless the consumer left early
            taken.finish(error)
            raise
        taken.finish()

    return unnoticed(wrapper, stream)
