"""Tables whose rows become objects when somebody asks for them, each once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar, overload

import numpy as np

from microdelay.spans import Place
from microdelay.traces.index import Bools, Groups, Index, Ints

T = TypeVar("T")


class Places:
    """Places and the numbers that stand for them, from 1 on; 0 is none."""

    def __init__(self) -> None:
        self.known: list[Place | None] = [None]
        self._codes: dict[Place | None, int] = {None: 0}

    def code(self, place: Place | None) -> int:
        """Give the number of a place."""
        code = self._codes.get(place)
        if code is None:
            code = self._codes[place] = len(self.known)
            self.known.append(place)
        return code


class Records(Generic[T]):
    """Rows of a table as objects."""

    def __init__(self, made: dict[int, T] | None = None) -> None:
        self._made: dict[int, T] = made if made is not None else {}

    @abstractmethod
    def _make(self, rows: Ints) -> Iterable[T]:
        """Make the objects of some rows."""

    def row(self, row: int) -> T:
        """Give the object of one row."""
        made = self._made.get(row)
        if made is None:
            (made,) = self.rows([row])
        return made

    def rows(self, rows: Sequence[int]) -> list[T]:
        """Give the objects of some rows."""
        missing = [row for row in rows if row not in self._made]
        if missing:
            self._made.update(zip(missing, self._make(np.array(missing)), strict=True))
        return [self._made[row] for row in rows]


class ById(Records[T], Mapping[int, T]):
    """The objects of a table under their ids."""

    def __init__(self, ids: Ints, made: dict[int, T] | None = None) -> None:
        super().__init__(made)
        self.id = ids

    @cached_property
    def index(self) -> Index:
        """The row of each id."""
        return Index(self.id)

    def __getitem__(self, key: int) -> T:
        row = self.index.find(key)
        if row < 0:
            raise KeyError(key)
        return self.row(row)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, int) and self.index.find(key) >= 0

    def __iter__(self) -> Iterator[int]:
        return iter(self.id.tolist())

    def __len__(self) -> int:
        return len(self.index)


class ByActivity(Records[T], Mapping[int, "Lane[T]"]):
    """The objects of a table in lanes, one for each activity; its rows are sorted by activity, then by start."""

    def __init__(self, activity: Ints, start_ns: Ints, made: dict[int, T] | None = None) -> None:
        super().__init__(made)
        self.activity = activity
        self.start_ns = start_ns
        self.starts = np.ascontiguousarray(start_ns).data
        """The same, for `bisect`."""
        self.groups = Groups(activity, np.arange(len(activity)))

    def __getitem__(self, activity: int) -> Lane[T]:
        low, high = self.groups.span(activity)
        if low == high:
            raise KeyError(activity)
        return Lane(self, low, high)

    def __contains__(self, activity: object) -> bool:
        return isinstance(activity, int) and self.groups.span(activity) != (0, 0)

    def __iter__(self) -> Iterator[int]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)


class Lane(Sequence[T]):
    """Rows of a table that follow one another."""

    def __init__(self, table: Records[T], low: int, high: int) -> None:
        self.table = table
        self.low = low
        self.high = high

    def __len__(self) -> int:
        return self.high - self.low

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            low, high, step = index.indices(len(self))
            if step == 1:
                return Lane(self.table, self.low + low, max(self.low + low, self.low + high))
            return self.table.rows(range(self.low + low, self.low + high, step))
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.table.row(self.low + index % len(self))

    def __iter__(self) -> Iterator[T]:
        return iter(self.table.rows(range(self.low, self.high)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]


def column(values: Iterable[int]) -> Ints:
    """Give whole numbers as a column."""
    return np.fromiter(values, np.int64)


@dataclass
class Texts:
    """A column of texts: each text once, and for each row which."""

    codes: Ints
    known: list[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Give a column of some texts."""
        numbers: dict[str, int] = {}
        codes = column([numbers.setdefault(text, len(numbers)) for text in texts])
        return cls(codes, list(numbers))

    def at(self, rows: Ints) -> Iterator[str]:
        """Give the texts of some rows."""
        return (self.known[code] for code in self.codes[rows].tolist())

    def taken(self, rows: Ints) -> Texts:
        """Give the column of some of the rows."""
        return Texts(self.codes[rows], self.known)

    def are(self, text: str) -> Bools:
        """Tell for each row whether it is this text."""
        return np.array([each == text for each in self.known] or [False], dtype=bool)[self.codes]
