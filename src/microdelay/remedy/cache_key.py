"""The key of a call: equal for equal arguments, and for no others."""

from __future__ import annotations

import inspect
import math
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from typing import Final

from microdelay.errors import RemedyError

Arguments = tuple[object, ...]
Keywords = Mapping[str, object]

PLAIN: Final = frozenset({str, bytes, type(None)})
"""Types whose values equal none of another type: they are their own keys."""

SCALARS: Final = PLAIN | {int, bool}
"""Types whose values are told apart by value and type: 1 == True."""


ALONE: Final = frozenset({str, bytes, int, type(None)})
"""Types of which a single argument is its own key: other keys are tuples, and no two of these are equal."""


def make_key(arguments: Arguments) -> Hashable:
    """The key of positional arguments. Raises `RemedyError` for one that no key can be made of."""
    types = tuple(map(type, arguments))
    if len(types) == 1 and types[0] in ALONE:
        return arguments[0]
    if PLAIN.issuperset(types):
        return arguments
    if SCALARS.issuperset(types):
        return arguments, types
    return tuple(map(freeze, arguments))


def freeze(value: object) -> Hashable:
    """A hashable stand-in: equal for equal values of the same types, also inside of lists, dicts and sets."""
    kind = type(value)
    if kind in PLAIN:
        return value
    if isinstance(value, float):
        return kind, value if value and not math.isnan(value) else repr(value)  # 0.0 == -0.0, and nan != nan
    if isinstance(value, list | tuple):
        return kind, tuple(map(freeze, value))
    if isinstance(value, dict):
        return kind, frozenset((freeze(key), freeze(item)) for key, item in value.items())
    if isinstance(value, set | frozenset):
        return kind, frozenset(map(freeze, value))
    if isinstance(value, bytearray):
        return kind, bytes(value)
    try:
        hash(value)
    except TypeError:
        return kind, _freeze_unhashable(value)
    return kind, value


def identity(instance: object) -> Hashable:
    """A key for this very object, which does not keep it alive."""
    known = _identities.get(id(instance))
    if known is not None and known() is instance:
        return known
    try:
        known = _identities[id(instance)] = _Identity(instance, _Identity.forget)
    except TypeError:  # it takes no weak references
        return _StrongIdentity(instance)
    return known


class Aligner:
    """Brings the arguments of a call into one order, so that f(1), f(x=1) and with a default f() have one key."""

    def __init__(self, function: Callable[..., object]) -> None:
        try:
            self._signature = inspect.signature(function)
        except ValueError:  # a builtin that does not tell
            self._signature = inspect.signature(_takes_anything)
        parameters = list(self._signature.parameters.values())
        self._open = any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters)
        self._parameters = parameters
        self.names = tuple(parameter.name for parameter in parameters)
        positional = sum(p.kind is not p.KEYWORD_ONLY for p in parameters)
        self.whole = positional if positional == len(parameters) and not self._open else -1
        """So many positional arguments need no aligning; -1: there is no such number."""
        self._tails = [_defaults(parameters[given:]) for given in range(positional + 1)]

    def __call__(self, arguments: Arguments, keywords: Keywords) -> Arguments:
        """The arguments in the order of the parameters, defaults filled in. Raises `TypeError` as the call would."""
        if not keywords and len(arguments) == self.whole:
            return arguments
        if not self._open:
            filled = self._fill(arguments, keywords) if keywords else self._complete(arguments)
            if filled is not None:
                return filled
        bound = self._signature.bind(*arguments, **keywords)
        bound.apply_defaults()
        return tuple(bound.arguments.values())

    def _complete(self, arguments: Arguments) -> Arguments | None:
        """The arguments and the defaults of the rest; None where that makes no call."""
        tail = self._tails[len(arguments)] if len(arguments) < len(self._tails) else None
        return None if tail is None else arguments + tail

    def _fill(self, arguments: Arguments, keywords: Keywords) -> Arguments | None:
        """The same by hand, ten times as fast; None where anything is unusual."""
        values = list(arguments)
        unused = len(keywords)
        for parameter in self._parameters[len(arguments) :]:
            if parameter.name in keywords:
                if parameter.kind is parameter.POSITIONAL_ONLY:
                    return None
                values.append(keywords[parameter.name])
                unused -= 1
            elif parameter.default is not parameter.empty:
                values.append(parameter.default)
            else:
                return None
        given_by_place = self._parameters[: len(arguments)]
        fits = len(arguments) <= len(self._parameters) and not any(p.kind is p.KEYWORD_ONLY for p in given_by_place)
        return tuple(values) if fits and not unused else None


def _defaults(parameters: list[inspect.Parameter]) -> Arguments | None:
    defaults = tuple(parameter.default for parameter in parameters)
    return None if any(default is inspect.Parameter.empty for default in defaults) else defaults


def _takes_anything(*args: object, **kwargs: object) -> None: ...


class _Identity(weakref.ref[object]):
    """Equal to nothing but itself, also when the object it stands for has an equality of its own."""

    __slots__ = ("number",)
    number: int
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __init__(self, instance: object, callback: Callable[[_Identity], None]) -> None:
        super().__init__(instance, callback)  # type: ignore[call-arg]
        self.number = id(instance)

    def forget(self) -> None:
        """The object is gone, and its number may be given to another."""
        if _identities.get(self.number) is self:
            del _identities[self.number]


class _StrongIdentity:
    __slots__ = ("instance",)

    def __init__(self, instance: object) -> None:
        self.instance = instance

    def __hash__(self) -> int:
        return id(self.instance)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _StrongIdentity) and other.instance is self.instance


_identities: Final[dict[int, _Identity]] = {}


def _freeze_unhashable(value: object) -> Hashable:
    if is_dataclass(value) and not isinstance(value, type):
        return tuple(freeze(getattr(value, field.name)) for field in fields(value))
    raise RemedyError(f"cached: no key can be made of a {type(value).__qualname__}; say key= how to tell calls apart")
