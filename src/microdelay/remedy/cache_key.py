"""The key of a call: equal for equal arguments, and for no others."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

from microdelay.errors import RemedyError

Arguments = tuple[object, ...]
MakeKey = Callable[[Arguments, Mapping[str, object]], Hashable]

PLAIN: Final = frozenset({str, bytes, type(None)})
"""Types whose values equal none of another type."""

SCALARS: Final = PLAIN | {int, bool, complex}
"""Types whose values are told apart by value and type: 1 == True."""


def key_maker(function: Callable[..., object], key: Callable[..., object] | None, *, by_identity: bool) -> MakeKey:
    """What makes the key of a call of `function` from its arguments; by `key` if given.

    f(1), f(x=1) and, where 1 is the default, f() have one key. `by_identity`: the first argument is `self`, and stands
    for itself and for no object that is equal to it.
    """
    if key is not None:
        return lambda args, kwargs: freeze(key(*args, **kwargs))
    align = _aligner(function)

    def make_key(args: Arguments, kwargs: Mapping[str, object]) -> Hashable:
        args = align(args, kwargs)
        types = tuple(map(type, args))
        if PLAIN.issuperset(types):
            return args
        if SCALARS.issuperset(types):
            return args, types
        return tuple(map(freeze, args))

    def make_method_key(args: Arguments, kwargs: Mapping[str, object]) -> Hashable:
        return identity(args[0]), make_key(args, kwargs) if False else _rest(args, kwargs)

    def _rest(args: Arguments, kwargs: Mapping[str, object]) -> Hashable:
        args = align(args, kwargs)[1:]
        types = tuple(map(type, args))
        return args if PLAIN.issuperset(types) else tuple(map(freeze, args))

    return make_method_key if by_identity else make_key


def freeze(value: Any) -> Hashable:
    """A hashable stand-in: equal for equal values of the same types, also inside of lists, dicts and sets."""
    kind = type(value)
    if kind in PLAIN:
        return value
    return kind, value
