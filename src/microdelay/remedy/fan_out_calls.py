"""What a call of fan_out is, what is to be done with it, and what its exception is told about it."""

from __future__ import annotations

import inspect
from typing import Final, Literal, NamedTuple

OnError = Literal["raise", "collect", "group"]

PENDING: Final = object()
"""Stands for the result of a call that has not been begun."""

BEGUN: Final = object()
"""Stands for the result of a call that has."""


class Plan(NamedTuple):
    """The options of a `fan_out`: `deadline` in seconds from the call of it."""

    limit: int
    deadline: float | None
    on_error: OnError


class TimedOut(TimeoutError):  # noqa: N818 - a value, which nobody raises
    """Stands in the place of a result that was not there at the deadline.

    `began` says whether the call was begun; `still_runs`, whether it goes on: a function in a thread cannot be stopped,
    and a coroutine may resist its cancellation. What a coroutine raised when it was cancelled is the `__cause__`.
    """

    def __init__(self, index: int, call: object, *, began: bool, still_runs: bool = False) -> None:
        state = "still runs" if still_runs else "was cancelled" if began else "was not begun"
        super().__init__(f"fan_out: call {index}, {name_of(call)}, {state} at the deadline")
        self.began, self.still_runs = began, still_runs


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


def error_of(failed: list[tuple[int, object, BaseException]], on_error: OnError) -> BaseException:
    """What is raised for the calls that failed, the first one first."""
    if on_error == "group" and len(failed) > 1:
        for index, call, each in failed:
            each.add_note(note(index, call))
        errors = [each for _, _, each in failed]
        return BaseExceptionGroup(f"fan_out: {len(failed)} calls failed", errors)
    index, call, error = failed[0]
    error.add_note(note(index, call))
    for another in failed[1:]:
        error.add_note(note_of_another(*another))
    return error


def note_of_another(index: int, call: object, error: BaseException) -> str:
    """What is added for a call that failed besides the one whose exception is raised."""
    return f"fan_out: call {index}, {name_of(call)}, failed as well: {error!r}"
