"""Tags: names under which several results are forgotten together, of one function or of many."""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable
from typing import Final

from microdelay.errors import RemedyError
from microdelay.remedy.cache_key import Aligner, Arguments

Keywords = dict[str, object]


class Tagger:
    """Gives the tags of a call. A tag is a text in which `{name}` stands for an argument."""

    def __init__(self, tags: Iterable[str] | Callable[..., Iterable[str]] | None, align: Aligner) -> None:
        self._function = tags if callable(tags) else None
        self._texts: tuple[str, ...] = () if tags is None or callable(tags) else tuple(tags)
        self._align = align
        self._are_fixed = not any("{" in text or "}" in text for text in self._texts)
        for text in self._texts:
            _check(text, align.names)

    def __call__(self, args: Arguments, kwargs: Keywords) -> tuple[str, ...]:
        """The tags of this call."""
        if self._function is not None:
            return tuple(map(str, self._function(*args, **kwargs)))
        if self._are_fixed:
            return self._texts
        named = dict(zip(self._align.names, self._align(args, kwargs), strict=True))
        return tuple(text.format_map(named) for text in self._texts)


NO_TAGS: Final[tuple[str, ...]] = ()


def _check(text: str, names: tuple[str, ...]) -> None:
    """Raises `RemedyError` for a tag that names what is no argument."""
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]
    except ValueError as error:
        raise RemedyError(f"the tag {text!r} cannot be read: {error}") from None
    for field in fields:
        name = field.split(".")[0].split("[")[0]
        if name not in names:
            raise RemedyError(f"the tag {text!r} names {name!r}, which is no argument; there are {', '.join(names)}")
