"""The spans of a recording as columns: an array for each field, and a `Span` only of the rows that are looked at."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from microdelay.spans import Place, Span
from microdelay.traces.index import Bools, Groups, Index, Ints
from microdelay.traces.records import Places, Texts

Codes = NDArray[np.int32]
Attributes = Mapping[str, str | int | float | bool]
H = TypeVar("H", bound=Hashable)


class Shape(NamedTuple):
    """What many spans have in common."""

    kind: str
    name: str
    attributes: Attributes
    error: str = ""


class LazyShapes(Sequence[Shape]):
    """The shapes of a file, whose attributes are read when somebody asks for them."""

    def __init__(
        self, kinds: list[str], names: list[str], firsts: Ints, attributes: list[str], errors: list[str]
    ) -> None:
        self.kinds = kinds
        self._names, self._attributes, self._errors = names, attributes, errors
        self._firsts: list[int] = firsts.tolist()
        self._made: dict[int, Shape] = {}

    def __len__(self) -> int:
        return len(self.kinds)

    @overload
    def __getitem__(self, index: int) -> Shape: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Shape]: ...
    def __getitem__(self, index: int | slice) -> Shape | Sequence[Shape]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        made = self._made.get(index)
        if made is None:
            added = json.loads(self._attributes[index] or "{}")
            first = self._firsts[index]
            whole = dict(self[first].attributes) | added if first >= 0 else added
            made = Shape(self.kinds[index], self._names[index], whole, self._errors[index])
            self._made[index] = made
        return made

    def append(self, shape: Shape) -> None:
        """Add one more."""
        self._made[len(self)] = shape
        self.kinds.append(shape.kind)


def _none() -> Groups:
    return Groups(np.zeros(0, np.int64), np.zeros(0, np.int64))


@dataclass(eq=False)
class SpanTable:
    """Every span of a recording, a row each, in order of their start; times in nanoseconds.

    `site` counts in `places.known` (0: none), `shape` in `shapes`. `sent` and `received` hold the values by row.
    """

    id: Ints
    start_ns: Ints
    end_ns: Ints
    activity: Ints
    invocation: Ints
    site: Codes
    shape: Codes
    input: Ints
    output: Ints
    cpu_start_ns: Ints
    cpu_ns: Ints
    shapes: Sequence[Shape]
    places: Places
    sent: Groups = field(default_factory=_none)
    received: Groups = field(default_factory=_none)
    made: dict[int, Span] = field(default_factory=dict)
    """The objects that somebody asked for, by row: asking twice gives the same one."""

    @cached_property
    def index(self) -> Index:
        """The row of each id."""
        return Index(self.id)

    @cached_property
    def kind(self) -> Ints:
        """The kind of each shape, as a number in `kinds`."""
        return self._kinds[0]

    @cached_property
    def kinds(self) -> list[str]:
        """The kinds that there are."""
        return self._kinds[1]

    @cached_property
    def _kinds(self) -> tuple[Ints, list[str]]:
        if isinstance(self.shapes, LazyShapes):
            texts = Texts.of(self.shapes.kinds)
        else:
            texts = Texts.of(shape.kind for shape in self.shapes)
        return texts.codes, texts.known

    def taken(self, rows: Ints) -> SpanTable:
        """Give a table of some of the rows."""
        return SpanTable(
            id=self.id[rows],
            start_ns=self.start_ns[rows],
            end_ns=self.end_ns[rows],
            activity=self.activity[rows],
            invocation=self.invocation[rows],
            site=self.site[rows],
            shape=self.shape[rows],
            input=self.input[rows],
            output=self.output[rows],
            cpu_start_ns=self.cpu_start_ns[rows],
            cpu_ns=self.cpu_ns[rows],
            shapes=self.shapes,
            places=self.places,
            sent=_taken(self.sent, rows),
            received=_taken(self.received, rows),
            made={
                new: self.made[old] for new, old in enumerate(rows.tolist() if self.made else ()) if old in self.made
            },
        )

    def object(self, row: int) -> Span:
        """Give the span in one row."""
        span = self.made.get(row)
        if span is None:
            (span,) = self.objects(np.array([row]))
        return span

    def objects(self, rows: Ints) -> list[Span]:
        """Give the spans in some rows."""
        made = self.made
        missing = [row for row in rows.tolist() if row not in made]
        if missing:
            at = np.array(missing)
            fields = (
                self.id, self.start_ns, self.end_ns, self.activity, self.invocation, self.input, self.output,
                self.cpu_start_ns, self.cpu_ns, self.site, self.shape,
            )  # fmt: skip
            columns = [column[at].tolist() for column in fields]
            for row, *values in zip(missing, *columns, strict=True):
                key, start, end, activity, invocation, input_, output, cpu_start, cpu, site, shape = values
                kind, name, attributes, error = self.shapes[shape]
                flow = _values(self.sent, row), _values(self.received, row)
                place = self.places.known[site]
                made[row] = Span(
                    key, kind, name, start, end, activity, invocation, place, attributes, input_, output, *flow,
                    cpu_start, cpu, error,
                )  # fmt: skip
        return [made[row] for row in rows.tolist()]


def _taken(groups: Groups, rows: Ints) -> Groups:
    """Give the values of some rows, which are then counted from 0."""
    if not len(groups):
        return groups
    new = np.full(max(int(groups.keys[-1]), int(rows.max(initial=0))) + 1, -1, np.int64)
    new[rows] = np.arange(len(rows))
    keys = new[np.repeat(groups.keys, np.diff(groups.starts))]
    return Groups(keys[keys >= 0], groups.values[keys >= 0])


_NOTHING: frozenset[int] = frozenset()


def _values(groups: Groups, row: int) -> frozenset[int]:
    if not len(groups):
        return _NOTHING
    low, high = groups.span(row)
    return frozenset(groups.values[low:high].tolist()) if high > low else _NOTHING


class Spans(Sequence[Span]):
    """Some rows of a table of spans, or all: a sequence of `Span`, and a column for each of their fields.

    A column is an array with an item for each span: ids, times in nanoseconds, and for `kind`, `name`, `site` and
    `shape` a number that stands for the value (equal where the value is; see `coded`). Objects are made when asked for
    and kept, so a rule asks for those of candidates only.
    """

    def __init__(self, table: SpanTable, rows: Ints | None = None) -> None:
        self.table = table
        self._rows = rows

    @classmethod
    def of(cls, spans: Sequence[Span]) -> Spans:
        """Give columns made from objects; what is columns already stays so."""
        return spans if isinstance(spans, Spans) else Spans(_table(spans))

    def whole(self) -> Spans:
        """Give these as all the rows of a table."""
        return self if self._rows is None else Spans(self.table.taken(self._rows))

    @property
    def rows(self) -> Ints:
        """Where each span stands in the recording's."""
        return np.arange(len(self.table.id)) if self._rows is None else self._rows

    def __len__(self) -> int:
        return len(self.table.id) if self._rows is None else len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> Spans: ...
    def __getitem__(self, index: int | slice) -> Span | Spans:
        if isinstance(index, slice):
            return Spans(self.table, self.rows[index])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.table.object(index % len(self) if self._rows is None else int(self._rows[index]))

    def __iter__(self) -> Iterator[Span]:
        return iter(self.table.objects(self.rows))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def take(self, chosen: Ints | Bools) -> Spans:
        """Give those at some positions, or those where an array of booleans says so."""
        if self._rows is None:
            return Spans(
                self.table, np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64, copy=False)
            )
        return Spans(self.table, self._rows[chosen])

    def _column(self, column: NDArray[np.generic]) -> Ints:
        return column if self._rows is None else column[self._rows]  # type: ignore[return-value]

    @property
    def id(self) -> Ints:
        """Ids."""
        return self._column(self.table.id)

    @property
    def start_ns(self) -> Ints:
        """When each began."""
        return self._column(self.table.start_ns)

    @property
    def end_ns(self) -> Ints:
        """When each ended."""
        return self._column(self.table.end_ns)

    @property
    def duration_ns(self) -> Ints:
        """How long each took."""
        return self.end_ns - self.start_ns

    @property
    def activity(self) -> Ints:
        """The id of the activity that ran each."""
        return self._column(self.table.activity)

    @property
    def invocation(self) -> Ints:
        """The id of the user's call that each stands in, 0 for none."""
        return self._column(self.table.invocation)

    @property
    def input(self) -> Ints:
        """The fingerprint of what went in, 0 where it is not known."""
        return self._column(self.table.input)

    @property
    def output(self) -> Ints:
        """The fingerprint of what came out, 0 where it is not known."""
        return self._column(self.table.output)

    @property
    def cpu_start_ns(self) -> Ints:
        """What the thread's clock said at the start of each, -1 where it was not read."""
        return self._column(self.table.cpu_start_ns)

    @property
    def cpu_ns(self) -> Ints:
        """The thread's processor time in each, -1 where it was not read."""
        return self._column(self.table.cpu_ns)

    @property
    def site(self) -> Ints:
        """The place of each, as a number in `table.places.known`; 0 for none."""
        return self._column(self.table.site)

    @property
    def shape(self) -> Ints:
        """Kind, name, attributes and error of each, as a number in `table.shapes`."""
        return self._column(self.table.shape)

    def shapes(self) -> list[Shape]:
        """Give the shapes that there are, as they first come."""
        codes, first = np.unique(self.shape, return_index=True)
        return [self.table.shapes[code] for code in codes[np.argsort(first)].tolist()]

    def places(self) -> list[Place | None]:
        """Give the place of each: objects that many share."""
        known = self.table.places.known
        return [known[site] for site in self.site.tolist()]

    def where(self, test: Callable[[Shape], bool], among: Bools | None = None) -> Bools:
        """Tell for each span whether `test` holds; it is asked once for each shape. Others than `among` are not."""
        codes, values = self.coded(test, among)
        return np.array([*values, False], dtype=bool)[codes]

    def of_kinds(self, kinds: Collection[str]) -> Bools:
        """Tell for each span whether it is of one of some kinds."""
        chosen = np.array([kind in kinds for kind in self.table.kinds] or [False], dtype=bool)
        of_shape: Bools = chosen[self.table.kind]  # of which there are far fewer than spans
        return of_shape[self.shape] if len(self) else np.zeros(0, bool)

    def coded(self, key: Callable[[Shape], H], among: Bools | None = None) -> tuple[Ints, list[H]]:
        """Work out a value of each span from its shape, once for each shape: give numbers, and what they stand for.

        Equal values have equal numbers, counted in order of shapes. Spans that are not `among` have -1.
        """
        shape = self.shape
        present = np.flatnonzero(np.bincount(shape if among is None else shape[among]))
        numbers: dict[H, int] = {}
        of_shape = np.full(len(self.table.shapes) + 1, -1, np.int64)
        for each in present.tolist():
            value = key(self.table.shapes[each])
            of_shape[each] = numbers.setdefault(value, len(numbers))
        codes = of_shape[shape]
        return codes if among is None else np.where(among, codes, -1), list(numbers)


def _table(spans: Sequence[Span]) -> SpanTable:
    """Make columns of objects, which stay the objects of their rows."""
    shapes: dict[tuple[str, str, int, str], int] = {}
    made: list[Shape] = []
    places = Places()
    codes: list[int] = []
    for span in spans:
        key = span.kind, span.name, id(span.attributes), span.error
        if key not in shapes:
            shapes[key] = len(made)
            made.append(Shape(span.kind, span.name, span.attributes, span.error))
        codes.append(shapes[key])

    def column(values: Sequence[int]) -> Ints:
        return np.array(values, dtype=np.int64)

    return SpanTable(
        id=column([span.id for span in spans]),
        start_ns=column([span.start_ns for span in spans]),
        end_ns=column([span.end_ns for span in spans]),
        activity=column([span.activity for span in spans]),
        invocation=column([span.invocation for span in spans]),
        site=np.array([places.code(span.site) for span in spans], dtype=np.int32),
        shape=np.array(codes, dtype=np.int32),
        input=column([span.input for span in spans]),
        output=column([span.output for span in spans]),
        cpu_start_ns=column([span.cpu_start_ns for span in spans]),
        cpu_ns=column([span.cpu_ns for span in spans]),
        shapes=made,
        places=places,
        sent=_flow([span.sent for span in spans]),
        received=_flow([span.received for span in spans]),
        made=dict(enumerate(spans)),
    )


def _flow(sets: Sequence[frozenset[int]]) -> Groups:
    pairs = [(row, value) for row, values in enumerate(sets) for value in sorted(values)]
    return Groups(np.array([row for row, _ in pairs], np.int64), np.array([value for _, value in pairs], np.int64))
