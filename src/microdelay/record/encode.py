"""From queued events to chunks of the recording: interning, line numbers, redaction, fingerprints.

Everything that can wait until the writer's thread does.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from json import dumps  # before the probe of json replaces it
from types import CodeType
from typing import ClassVar

from microdelay.record import layout
from microdelay.record.describe import describe
from microdelay.record.events import ACTIVITY, END, INVOKE, RETURN, SPAN, STEP, Event

MAX_FILES = 200
"""The user's files whose source is kept."""

MAX_INTERNED = 50_000
MAX_INTERNED_CHARACTERS = 4_000_000
"""Texts and sites remembered at once; beyond it they are written again, so memory stays bounded."""

TOKENS_PER_PLACE = 200
"""Spans of one place whose single values are fingerprinted; value flow shows itself in far fewer."""


class Encoder:
    """Takes events one by one, and gives them as chunks."""

    def __init__(self) -> None:
        self.files: dict[str, None] = {}
        """Of the user's code seen so far, absolute."""
        self._texts: dict[str, int] = {}
        self._text_count = 0
        self._text_characters = 0
        self._new_texts: list[str] = []
        self._sites: dict[tuple[_Identity, int], int] = {}
        self._site_count = 0
        self._spans = 0
        self._tokens_left: dict[int, int] = {}
        self._rows: dict[bytes, list[tuple[int, ...]]] = defaultdict(list)
        self._cwd = os.getcwd()

    def add(self, event: Event) -> None:
        """Take one event."""
        self._encode[event[0]](self, event)

    def take(self) -> bytes:
        """Give the chunks of what was added since the last time; b"" where nothing was."""
        parts = []
        if self._new_texts:
            parts.append(layout.json_chunk(layout.TEXT, self._new_texts))
            self._new_texts = []
        # Sites first: the rows that follow point at them.
        parts += [layout.table_chunk(tag, rows) for tag in layout.TABLES if (rows := self._rows.pop(tag, None))]
        if max(len(self._texts), len(self._sites)) > MAX_INTERNED or self._text_characters > MAX_INTERNED_CHARACTERS:
            self._texts.clear()
            self._text_characters = 0
            self._sites.clear()
            self._tokens_left.clear()
        return b"".join(parts)

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
        # Keyed by identity, since hashing a code object reads all of it; the key keeps the object alive.
        key = _Identity(code), lasti
        known = self._sites.get(key)
        if known is None:
            self._site_count += 1
            known = self._sites[key] = self._site_count
            place = position(code, lasti)
            self._rows[b"SITE"].append((known, self._file(code), self._text(code.co_qualname), *place))
        return known

    def _span(self, event: Event) -> None:
        _, start, end, (cpu_start, cpu_end), activity, (invocation, code, lasti), kind, name, details, error = event
        self._spans += 1
        site = self._site(code, lasti)
        left = self._tokens_left.get(site, TOKENS_PER_PLACE)
        self._tokens_left[site] = left - 1
        made = describe(kind, name, details, with_tokens=left > 0)
        attributes = self._text(dumps(made.attributes, sort_keys=True)) if made.attributes else -1
        cpu = cpu_end - cpu_start if cpu_start >= 0 and cpu_end >= 0 else -1
        self._rows[b"SPAN"].append((
            self._spans, start, end - start, cpu_start, cpu, activity, invocation, site,
            self._text(made.kind or kind), self._text(made.name), attributes, made.input, made.output,
            self._text(error) if error else -1,
        ))  # fmt: skip
        flow = self._rows[b"FLOW"]
        flow.extend((self._spans, 1, value) for value in made.sent)
        flow.extend((self._spans, 0, value) for value in made.received)
        self._rows[b"JOIN"].extend((self._spans, target) for target in details.get("joins", ()))

    def _invoke(self, event: Event) -> None:
        _, invocation, code, activity, start, caller, caller_code, caller_lasti = event
        self._rows[b"INVO"].append((
            invocation, self._file(code), self._text(code.co_qualname), code.co_firstlineno, activity, start, caller,
            self._site(caller_code, caller_lasti),
        ))  # fmt: skip

    def _return(self, event: Event) -> None:
        self._rows[b"RETN"].append(event[1:])

    def _activity(self, event: Event) -> None:
        _, activity, kind, name, parent, created, invocation, code, lasti = event
        site = self._site(code, lasti)
        row = (activity, self._text(kind), self._text(name), parent, created, invocation, site)
        self._rows[b"ACTI"].append(row)

    def _end(self, event: Event) -> None:
        self._rows[b"ENDA"].append(event[1:])

    def _step(self, event: Event) -> None:
        _, activity, start, end, resumed, ready, cause, invocation, code, lasti, on, joins = event
        site = self._site(code, lasti)
        row = (activity, start, end, resumed, ready, cause, invocation, site, self._text(on) if on else -1)
        self._rows[b"STEP"].append(row)
        # A step's joins stand under its negative start: no span has one.
        self._rows[b"JOIN"].extend((-start, target) for target in joins)

    _encode: ClassVar[dict[int, Callable[[Encoder, Event], None]]] = {
        SPAN: _span,
        INVOKE: _invoke,
        RETURN: _return,
        ACTIVITY: _activity,
        END: _end,
        STEP: _step,
    }


class _Identity:
    """A dictionary key that compares by identity and holds what it stands for."""

    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and other.held is self.held


def position(code: CodeType, lasti: int) -> tuple[int, int, int, int]:
    """Give line, end line, column and end column of the instruction at `lasti` (0 and -1 where unknown)."""
    for index, (line, end_line, column, end_column) in enumerate(code.co_positions()):
        if index * 2 == lasti:
            first = line or code.co_firstlineno
            return first, end_line or first, -1 if column is None else column, -1 if end_column is None else end_column
    return code.co_firstlineno, code.co_firstlineno, -1, -1
