"""What a batched function gave, as one answer for each key."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from microdelay.errors import RemedyError
from microdelay.remedy.cache_key import PLAIN, freeze

K = TypeVar("K")
V = TypeVar("V")


def identify(key: object) -> Hashable:
    """Equal for equal keys of one type, for no others: 1, '1', 1.0 and True are four. Lists and dicts have one."""
    kind = type(key)
    if kind in PLAIN:
        return key
    return (kind, key) if kind is int else freeze(key)


def match(keys: list[K], answers: object, name: str) -> list[V | Exception]:
    """The answers in the order of the keys; for a key of which a mapping says nothing, a `KeyError`.

    Raises `RemedyError` for what is no answer to these keys.
    """
    if isinstance(answers, Mapping):
        return [answers[key] if key in answers else KeyError(key) for key in keys]
    if not isinstance(answers, Sequence) or isinstance(answers, str | bytes):
        raise RemedyError(f"{name} must give a list or a mapping of answers, not {type(answers).__name__}")
    if len(answers) != len(keys):
        raise RemedyError(f"{name} gave {len(answers)} answers for {len(keys)} keys; an answer may be an exception")
    return list(answers)


def raisable(error: BaseException) -> BaseException:
    """The error as a future takes it."""
    if isinstance(error, StopIteration | StopAsyncIteration):
        raised = RuntimeError(f"a batched function raised {type(error).__name__}")
        raised.__cause__ = error
        return raised
    return error
