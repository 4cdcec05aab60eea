"""Names of calls that are the same in every process, and on every machine."""

from __future__ import annotations

import datetime
import decimal
import hashlib
import sys
import uuid
from collections.abc import Callable, Hashable, Iterable
from pathlib import Path
from typing import Any, Final

from microdelay.errors import RemedyError

_BY_REPR: Final = frozenset(
    {
        bool, bytes, complex, datetime.date, datetime.datetime, datetime.time, datetime.timedelta, decimal.Decimal,
        float, int, str, type(None), uuid.UUID,
    }
)  # fmt: skip
"""Types whose `repr` tells their values apart and names no address."""


def digest(key: Hashable) -> str:
    """40 hexadecimal digits for a key of `cache_key`. Raises `RemedyError` for one that means nothing elsewhere."""
    # An index in a cache and no signature; 20 bytes keep accidents away.
    return hashlib.blake2b(_spell(key).encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()


def name_of(function: Callable[..., Any]) -> str:
    """Module and qualified name; for what stands in a script the script's name."""
    module = getattr(function, "__module__", None) or type(function).__module__
    if module in {"__main__", "__mp_main__"}:
        file = getattr(sys.modules.get(module), "__file__", None)
        module = Path(file).stem if file else module
    return f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"


def _spell(key: object) -> str:
    kind = type(key)
    if kind is tuple:
        return _list("t", map(_spell, key))  # type: ignore[call-overload]
    if kind is frozenset:
        return _list("s", sorted(map(_spell, key)))  # type: ignore[call-overload]
    if isinstance(key, type):
        return f"c{key.__module__}.{key.__qualname__};"
    if kind in _BY_REPR:
        text = repr(key)
        return f"{kind.__name__}{len(text)}:{text}"
    raise RemedyError(
        f"cached: a {kind.__qualname__} means nothing in another process; say key= how to tell calls apart"
    )


def _list(letter: str, spelled: Iterable[str]) -> str:
    items = list(spelled)
    return f"{letter}{len(items)}:{''.join(items)}"
