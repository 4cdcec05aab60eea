"""From queued events to a chunk of the recording: interning, line numbers, redaction, fingerprints.

Everything that can wait until the writer's thread does.
"""

from __future__ import annotations

import marshal
import os
from collections.abc import Callable
from json import dumps  # before the probe of json replaces it
from types import CodeType
from typing import Any, ClassVar

from microdelay.record import layout
from microdelay.record.calls import Site
from microdelay.record.describing.describe import describe
from microdelay.record.describing.description import Attributes
from microdelay.record.events import ACTIVITY, END, INVOKE, RETURN, ROOT, SAMPLE, STEP, Event, Label
from microdelay.record.flow import Flow
from microdelay.record.tail import Rows

TYPE_CHECKING = False  # that of typing; with the redaction of statements, this would be loaded at each start
if TYPE_CHECKING:
    from microdelay.record.describing.db import Statement

MAX_FILES = 200
"""The user's files whose source is kept."""

MAX_INTERNED = 50_000
MAX_INTERNED_CHARACTERS = 4_000_000
"""Texts, shapes and sites remembered at once; beyond it they are written again, so memory stays bounded."""

TOKENS_PER_PLACE = 200
"""Spans of one place whose single values are fingerprinted; value flow shows itself in far fewer."""


class Encoder:
    """Takes events one by one, and gives them as rows."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        """Of the user's code seen so far, absolute."""
        self._texts: dict[str, int] = {}
        self._text_count = 0
        self._text_characters = 0
        self._new_texts: list[str] = []
        self._sites: dict[tuple[int, int], tuple[int, CodeType]] = {}
        self._site_count = 0
        self._shapes: dict[object, int] = {}
        self._shape_count = 0
        self._shared: dict[tuple[int, str, str, str], tuple[int, Attributes]] = {}
        self._first_shapes: dict[tuple[str, str], tuple[int, Attributes]] = {}
        self._values: dict[int, int] = {0: 0}
        self._value_count = 0
        self._spans = 0
        self._tokens_left: dict[int, int] = {}
        self._flow = Flow()
        self._rows: dict[bytes, list[int]] = {tag: [] for tag in layout.TABLES}
        self._cwd = os.getcwd()

    def add(self, event: Event) -> None:
        """Take one event that is no span."""
        self._encode[event[0]](self, event)

    def take(self) -> Rows | None:
        """Give what was added since the last time; None where nothing was."""
        taken = None
        if self._new_texts or any(self._rows.values()):
            taken = Rows(self._new_texts, {tag: rows for tag, rows in self._rows.items() if rows})
            self._new_texts = []
            self._rows = {tag: [] for tag in layout.TABLES}
        interned = max(len(self._texts), len(self._sites), len(self._shapes), len(self._shared), len(self._values))
        if interned > MAX_INTERNED or self._text_characters > MAX_INTERNED_CHARACTERS:
            self._texts.clear()
            self._text_characters = 0
            self._sites.clear()
            self._shapes.clear()
            self._first_shapes.clear()
            self._shared.clear()
            self._values = {0: 0}
            self._tokens_left.clear()
        return taken

    def add_span(self, label: Label, start: int, end: int, activity: int, site: Site, extra: Any) -> None:
        """Take one span; its items are those of `events.push_span`."""
        self._spans = span = self._spans + 1
        invocation, code, lasti = site
        place = self._site(code, lasti)
        if extra is None:
            shape = self._shapes.get(label) or self._shape_of_label(label)
            self._rows[b"SPAN"] += (span, start, end - start, activity, invocation, place, shape, 0, 0)
            return
        details, error = extra, ""
        if type(extra) is tuple:
            details, cpu_start, cpu_end, error = extra
            if cpu_start >= 0:
                self._rows[b"CPUT"] += (span, cpu_start, cpu_end - cpu_start)
        left = self._tokens_left.get(place, TOKENS_PER_PLACE)
        again: Statement | None = None
        if type(details) is list:
            again, parameters, rows = details
            known_shape = self._shapes.get(again)
            if known_shape is not None and left <= 0 and not error:
                value = hash((again.query, parameters)) or 1  # as `again.fingerprint` does, two calls cheaper
                given = self._values.get(value) or self._value(value)
                self._rows[b"SPAN"] += (span, start, end - start, activity, invocation, place, known_shape, given, 0)
                return
            details = again.sent(parameters, rows)
        self._tokens_left[place] = left - 1
        made = describe(label.kind, label.name, details, with_tokens=left > 0)
        kind = made.kind or label.kind
        # Attributes that come again as the same object are known by their address; the value keeps them there.
        known = self._shared.get((id(made.attributes), kind, made.name, error)) if made.is_shared else None
        if known is None:
            shape = self._shape_of(kind, made.name, made.attributes, error)
            if made.is_shared:
                self._shared[id(made.attributes), kind, made.name, error] = shape, made.attributes
        else:
            shape = known[0]
        if again is not None and not error:
            self._shapes[again] = shape
        self._rows[b"SPAN"] += (
            span, start, end - start, activity, invocation, place, shape, self._value(made.input),
            self._value(made.output),
        )  # fmt: skip
        if left > 0:
            self._rows[b"FLOW"] += self._flow.rows(span, made.sent, made.received)
        for target in details.get("joins", ()):
            self._rows[b"JOIN"] += (span, target)

    def _shape_of_label(self, label: Label) -> int:
        made = describe(label.kind, label.name, label.details, with_tokens=False) if label.details is not None else None
        name, attributes = (label.name, {}) if made is None else (made.name, made.attributes)
        shape = self._shapes[label] = self._shape_of(label.kind, name, attributes, label.error)
        return shape

    def _shape_of(self, kind: str, name: str, attributes: Attributes, error: str) -> int:
        key = kind, name, error, marshal.dumps(attributes, 2)
        shape = self._shapes.get(key)
        if shape is None:
            self._text_characters += len(key[3])
            shape = self._shapes[key] = self._shape(kind, name, attributes, error)
        return shape

    def _shape(self, kind: str, name: str, attributes: Attributes, error: str) -> int:
        """Write a new shape; one that has all attributes of the first of its name as what is different from that."""
        self._shape_count += 1
        first, known = self._first_shapes.setdefault((kind, name), (self._shape_count, attributes))
        if first == self._shape_count or not known.keys() <= attributes.keys():
            first = 0
        else:
            attributes = {key: value for key, value in attributes.items() if not _same(known.get(key), value)}
        text = self._text(dumps(attributes, sort_keys=True))
        row = self._shape_count, self._text(kind), self._text(name), first, text, self._text(error)
        self._rows[b"SHAP"] += row
        return self._shape_count

    def _value(self, fingerprint: int) -> int:
        """Number fingerprints in the order in which they come: a number takes less room than they."""
        known = self._values.get(fingerprint)
        if known is None:
            self._value_count = known = self._values[fingerprint] = self._value_count + 1
        return known

    def _text(self, text: str) -> int:
        known = self._texts.get(text)
        if known is None:
            known = self._texts[text] = self._text_count
            self._text_count += 1
            self._text_characters += len(text)
            self._new_texts.append(text)
        return known

    def _file(self, code: CodeType) -> int:
        file = os.path.join(self._cwd, code.co_filename)
        if len(self.files) < MAX_FILES:
            self.files[file] = None
        return self._text(file)

    def _site(self, code: CodeType | None, lasti: int) -> int:
        if code is None:
            return 0
        # By identity, since hashing a code object reads all of it; the value keeps the object alive.
        known = self._sites.get((id(code), lasti))
        if known is not None:
            return known[0]
        self._site_count += 1
        self._sites[id(code), lasti] = self._site_count, code
        place = position(code, lasti)
        self._rows[b"SITE"] += (self._site_count, self._file(code), self._text(code.co_qualname), *place)
        return self._site_count

    def _invoke(self, event: Event) -> None:
        _, invocation, code, activity, start, caller, caller_code, caller_lasti = event
        self._rows[b"INVO"] += (
            invocation, self._file(code), self._text(code.co_qualname), code.co_firstlineno, activity, start, caller,
            self._site(caller_code, caller_lasti),
        )  # fmt: skip

    def _return(self, event: Event) -> None:
        self._rows[b"RETN"] += event[1:]

    def _activity(self, event: Event) -> None:
        _, activity, kind, name, parent, created, invocation, code, lasti = event
        site = self._site(code, lasti)
        self._rows[b"ACTI"] += (activity, self._text(kind), self._text(name), parent, created, invocation, site)

    def _end(self, event: Event) -> None:
        if len(event) == 4:
            self._rows[b"ENDA"] += event[1:]
            return
        _, activity, _, end, start = event
        self._rows[b"STEP"] += (activity, start, end - start, -1, -1, 0, 0, 0, self._text(""))

    def _step(self, event: Event) -> None:
        _, activity, start, end, resumed, ready, cause, invocation, code, lasti, on, joins = event
        site = self._site(code, lasti)
        late = resumed - ready if ready else -1
        self._rows[b"STEP"] += (
            activity, start, end - start, resumed - end, late, cause, invocation, site, self._text(on),
        )  # fmt: skip
        # A step's joins stand under its negative start: no span has one.
        for target in joins:
            self._rows[b"JOIN"] += (-start, target)

    def _sample(self, event: Event) -> None:
        _, activity, start, end, *measured, (invocation, code, lasti), package, call = event
        row = activity, start, end - start, *measured
        self._rows[b"SAMP"] += (*row, invocation, self._site(code, lasti), self._text(package), self._text(call))

    def _root(self, event: Event) -> None:
        _, label, start, end, kinds = event
        shape = self._shapes.get(label) or self._shape_of_label(label)
        self._rows[b"ROOT"] += (start, end - start, shape, kinds)

    _encode: ClassVar[dict[int, Callable[[Encoder, Event], None]]] = {
        INVOKE: _invoke,
        RETURN: _return,
        ACTIVITY: _activity,
        END: _end,
        STEP: _step,
        SAMPLE: _sample,
        ROOT: _root,
    }


def _same(one: object, other: object) -> bool:
    return type(one) is type(other) and one == other  # 1 is not True


def position(code: CodeType, lasti: int) -> tuple[int, int, int, int]:
    """Give line, end line, column and end column of the instruction at `lasti` (0 and -1 where unknown)."""
    for index, (line, end_line, column, end_column) in enumerate(code.co_positions()):
        if index * 2 == lasti:
            first = line or code.co_firstlineno
            return first, end_line or first, -1 if column is None else column, -1 if end_column is None else end_column
    return code.co_firstlineno, code.co_firstlineno, -1, -1
