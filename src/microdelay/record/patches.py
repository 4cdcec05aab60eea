"""Replacing functions of other people's libraries, and putting them back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]

_undo: list[tuple[Any, str, Any, bool, Any]] = []


class BuiltinWrapper:
    """Stands for a builtin function: like one, and unlike a Python function, it does not bind as a method."""

    def __init__(self, original: Any, call: Callable[..., Any]) -> None:
        functools.update_wrapper(self, original)
        self.__text_signature__ = getattr(original, "__text_signature__", None)
        self._call = call

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __reduce__(self) -> str:
        name: str = self.__wrapped__.__name__  # type: ignore[attr-defined]
        return name  # pickled by name, as the builtin is

    def __repr__(self) -> str:
        return repr(self.__wrapped__)  # type: ignore[attr-defined]


def replace(owner: Any, name: str, wrap: Wrap) -> None:
    """Put `wrap(original)` in the place of `owner.name`; nothing happens where the library has no such name."""
    original = getattr(owner, name, None)
    if original is None or hasattr(original, "__microdelay__"):
        return
    own = name in vars(owner)
    stored = vars(owner)[name] if own else None
    wrapper: Any = wrap(original)
    if not hasattr(wrapper, "__wrapped__"):
        functools.update_wrapper(wrapper, original)
    wrapper.__microdelay__ = True
    setattr(owner, name, wrapper)
    _undo.append((owner, name, stored, own, wrapper))


def restore_all() -> None:
    """Put every original back that is still ours to put back (a later patch of somebody else's stays)."""
    while _undo:
        owner, name, stored, own, wrapper = _undo.pop()
        if vars(owner).get(name) is not wrapper:
            continue
        if own:
            setattr(owner, name, stored)
        else:
            delattr(owner, name)
