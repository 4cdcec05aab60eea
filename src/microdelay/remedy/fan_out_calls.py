"""What a call of fan_out is, and what its exception is told about it."""

from __future__ import annotations

import inspect


def returns_coroutine(call: object) -> bool:
    """Whether calling it gives a coroutine, as far as that can be told without calling it."""
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004


def name_of(call: object) -> str:
    """The name of a function or coroutine, as a person knows it."""
    call = getattr(call, "func", call)  # a partial has none of its own
    name: object = getattr(call, "__qualname__", None)
    return name if isinstance(name, str) else type(call).__qualname__


def note(index: int, call: object) -> str:
    """What is added to the exception of a call."""
    return f"fan_out: raised by call {index}, {name_of(call)}"


def note_of_another(index: int, call: object, error: BaseException) -> str:
    """What is added for a call that failed besides the one whose exception is raised."""
    return f"fan_out: call {index}, {name_of(call)}, failed as well: {error!r}"
