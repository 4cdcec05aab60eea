"""Replacing functions of other people's libraries so that nobody notices, and putting them back."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterable
from types import BuiltinFunctionType, ModuleType
from typing import Any, cast

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]

_undo: list[tuple[Any, str, Any, bool, Any]] = []
_at_end: list[Callable[[], None]] = []

WRAPPER_FILE = "<microdelay importlib._bootstrap>"
"""The file that a wrapper's code claims to be of: `warnings` does not count frames of such a name in `stacklevel`."""


class BuiltinWrapper:
    """Stands for a builtin function: like one, and unlike a Python function, it does not bind as a method."""

    def __init__(self, original: Any) -> None:
        functools.update_wrapper(cast("Callable[..., Any]", self), original)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["__wrapped__"], name)

    def __reduce__(self) -> str:
        name: str = vars(self)["__wrapped__"].__name__
        return name  # pickled by name, as the builtin is

    def __repr__(self) -> str:
        return repr(vars(self)["__wrapped__"])

    # It is found in sets and dictionaries that were made of the original, as `os.supports_dir_fd` is.
    def __hash__(self) -> int:
        return hash(vars(self)["__wrapped__"])

    def __eq__(self, other: object) -> bool:
        return self is other or vars(self)["__wrapped__"] is other

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return BuiltinFunctionType  # for `isinstance`, which `inspect` asks


def builtin(original: Any, call: Callable[..., Any]) -> Any:
    """Make `call` look like the builtin function `original`."""
    kind = type("builtin_function_or_method", (BuiltinWrapper,), {"__call__": staticmethod(call)})
    return kind(original)


def unnoticed(wrapper: Callable[..., Any], original: Any) -> Callable[..., Any]:
    """Give a Python wrapper the name, signature and folder of what it wraps.

    The folder matters to `logging`, which leaves its own frames out of what it prints.
    """
    functools.update_wrapper(wrapper, original)
    inner = getattr(original, "__code__", None)
    file = inner.co_filename if inner is not None else ""
    folder = os.path.dirname(file) if os.path.isabs(file) else ""  # that of a function made by Cython may be relative
    wrapper.__code__ = wrapper.__code__.replace(co_filename=os.path.join(folder, WRAPPER_FILE))
    return wrapper


def replace(owner: Any, name: str, wrap: Wrap) -> None:
    """Put `wrap(original)` in the place of `owner.name`; nothing happens where the library has no such name."""
    original = getattr(owner, name, None)
    if original is None or hasattr(original, "__microdelay__"):
        return
    wrapper: Any = wrap(original)
    wrapper.__microdelay__ = True
    if not hasattr(original, "__module__"):  # a method written in C
        wrapper.__module__, wrapper.__qualname__ = owner.__module__, f"{owner.__qualname__}.{name}"
    put(owner, name, wrapper)


def replace_in_all(owners: Iterable[Any], name: str, wrap: Wrap) -> None:
    """Put one `wrap(original)` in the place of what several modules know by the same name."""
    first, *others = owners
    original = getattr(first, name, None)
    replace(first, name, wrap)
    for owner in others:
        if original is not None and getattr(owner, name, None) is original:
            put(owner, name, getattr(first, name))


def loaded(*names: str) -> list[ModuleType]:
    """Give the modules of these names that are imported: what several of them know is replaced in all."""
    return [sys.modules[name] for name in names if sys.modules.get(name) is not None]


def of_class(wrap: Wrap) -> Wrap:
    """Give what wraps a class method as `wrap` wraps a function."""

    def wrap_bound(bound: Any) -> Any:
        return classmethod(wrap(bound.__func__))

    return wrap_bound


def of_static(wrap: Wrap) -> Wrap:
    """Give what wraps a static method as `wrap` wraps a function."""

    def wrap_static(original: Any) -> Any:
        return staticmethod(wrap(original))

    return wrap_static


def put(owner: Any, name: str, wrapper: Any) -> None:
    """Put a wrapper that has been made already in the place of `owner.name`."""
    own = name in vars(owner)
    stored = vars(owner)[name] if own else None
    setattr(owner, name, wrapper)
    _undo.append((owner, name, stored, own, wrapper))


def at_end(undo: Callable[[], None]) -> None:
    """Have `undo` called with `restore_all`: for what is changed in another way."""
    _at_end.append(undo)


def restore_all() -> None:
    """Put every original back that is still ours to put back (a later patch of somebody else's stays)."""
    while _at_end:
        _at_end.pop()()
    while _undo:
        owner, name, stored, own, wrapper = _undo.pop()
        if vars(owner).get(name) is not wrapper:
            continue
        if own:
            setattr(owner, name, stored)
        else:
            delattr(owner, name)
