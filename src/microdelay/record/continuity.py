"""Remembers what is under way, so that the next file of a recording can begin with it."""

from __future__ import annotations

from typing import Any

from microdelay.record.events import ACTIVITY, END, INVOKE, RETURN, Event, Label
from microdelay.record.sampling import Sink

MAX_OPEN = 50_000
"""Calls and activities that are remembered each; the oldest are forgotten first."""


class Continuity:
    """Takes what the encoder takes, and hands it on."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._calls: dict[int, Event] = {}
        self._activities: dict[int, Event] = {}

    def go_on(self, sink: Sink) -> None:
        """Hand on to another encoder, beginning with what is under way."""
        self._sink = sink
        for event in (*self._activities.values(), *self._calls.values()):
            sink.add(event)

    def add(self, event: Event) -> None:
        """Take one event that is no span."""
        kind = event[0]
        if kind == INVOKE:
            _remember(self._calls, event)
        elif kind == RETURN:
            self._calls.pop(event[1], None)
        elif kind == ACTIVITY:
            _remember(self._activities, event)
        elif kind == END:
            self._activities.pop(event[1], None)
        self._sink.add(event)

    def add_span(self, label: Label, start: int, end: int, activity: int, site: Any, extra: Any) -> None:
        """Take one span."""
        self._sink.add_span(label, start, end, activity, site, extra)


def _remember(known: dict[int, Event], event: Event) -> None:
    known[event[1]] = event
    if len(known) > MAX_OPEN:
        del known[next(iter(known))]
