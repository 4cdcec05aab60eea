"""Work that has a name: bytes made from objects, objects from bytes, or either from a hash, tokenizer or compressor."""

from __future__ import annotations

from collections.abc import Callable
from types import BuiltinFunctionType
from typing import Any

from microdelay.record.families.waits import EVERYWHERE, waiting
from microdelay.record.measure import Describe, Details
from microdelay.record.patches import Wrap, builtin
from microdelay.spans import CODEC

FLOOR_NS = 100_000
"""Some 10 KB for json; below it a span would cost a visible part of what it measures."""


def codec(name: str, describe: Describe | None = None, kind: str = CODEC) -> Wrap:
    """Give what wraps a function of such work, in Python or in C; of nested ones the outermost is the span."""
    wrap = waiting(kind, name, describe, EVERYWHERE, FLOOR_NS)

    def wrap_any(function: Callable[..., Any]) -> Callable[..., Any]:
        wrapper = wrap(function)
        made: Callable[..., Any] = builtin(function, wrapper) if type(function) is BuiltinFunctionType else wrapper
        return made

    return wrap_any


def result_size(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Tell how large the result is."""
    return _size(result)


def argument_size(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Tell how large the first argument is."""
    return _size(args[0] if args else None)


def second_size(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Tell how large the first argument of a method is."""
    return _size(args[1] if len(args) > 1 else None)


def _size(value: object) -> Details:
    if isinstance(value, memoryview):
        return {"size": value.nbytes}
    return {"size": len(value)} if isinstance(value, (str, bytes, bytearray)) else {}
