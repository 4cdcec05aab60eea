"""A recording and its traces as the rules look at them, with what several of them need worked out once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from microdelay.spans import CONNECTING, LOCK, LOG, POOL, REQUESTS, WAITS, Place, Span
from microdelay.traces.model import Invocation, Recording, Trace

TURNS = CONNECTING | {LOCK, POOL}
"""Kinds of waits that come before an operation, and lead to nothing themselves."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One call that a function made (`site`) and that waited for `spans`, in one of its invocations.

    `path` are the calls of the user's functions below it, outermost first; empty where the function waited itself.
    """

    site: Place
    start_ns: int
    end_ns: int
    spans: tuple[Span, ...]
    path: tuple[Invocation, ...]


@dataclass(frozen=True, eq=False)
class Case:
    """What rules are given."""

    recording: Recording
    traces: Sequence[Trace]

    @cached_property
    def outermost(self) -> Mapping[int, Sequence[Span]]:
        """For each trace, the spans of it that stand in no other span of a wait; a log call's request is the log's."""
        found: dict[int, list[Span]] = {}
        for trace in self.traces:
            found[trace.id] = [span for span in trace.spans if not self.inside_wait(span)]
        return found

    @cached_property
    def _by_kind(self) -> Mapping[str, Sequence[tuple[Trace, Span]]]:
        found: dict[str, list[tuple[Trace, Span]]] = defaultdict(list)
        for trace in self.traces:
            for span in trace.spans:
                found[span.kind].append((trace, span))
        return found

    def spans_of(self, *kinds: str) -> Sequence[tuple[Trace, Span]]:
        """Give the spans of some kinds with their traces: trace by trace, kind by kind, by start."""
        return [each for kind in kinds for each in self._by_kind.get(kind, ())]

    def inside_wait(self, span: Span) -> bool:
        """Tell whether a span is part of a request or of a log call."""
        recording = self.recording
        parent = recording.parents.get(span.id, 0)
        while parent:
            if recording.by_id[parent].kind in REQUESTS or recording.by_id[parent].kind == LOG:
                return True
            parent = recording.parents.get(parent, 0)
        return False

    def requests(self, trace: Trace) -> list[Span]:
        """Give the HTTP requests that a trace made itself, each until its body was read."""
        return [
            span for span in self.outermost[trace.id] if span.kind in REQUESTS and span.attributes.get("part") != "body"
        ]

    @cached_property
    def bodies(self) -> Mapping[int, Sequence[Span]]:
        """The spans in which the body was read that belongs to each request, where that was a wait of its own."""
        bodies: dict[int, list[Span]] = defaultdict(list)
        for lane in self.recording.lanes.values():
            asked: dict[int, Span] = {}
            for span in lane:
                if span.kind not in REQUESTS:
                    continue
                if span.attributes.get("part") != "body":
                    asked[span.input] = span
                elif (request := asked.get(span.input)) is not None:
                    bodies[request.id].append(span)
        return dict(bodies)

    def end_of(self, request: Span) -> int:
        """Give when a request's body had been read."""
        return max(span.end_ns for span in (request, *self.bodies.get(request.id, ())))

    def output_of(self, request: Span) -> int:
        """Give the fingerprint of a request's answer, 0 where it was not read or not seen."""
        return next((body.output for body in self.bodies.get(request.id, ()) if body.output), request.output)

    def received_by(self, request: Span) -> frozenset[int]:
        """Give the single values in a request's answer."""
        return request.received.union(*(body.received for body in self.bodies.get(request.id, ())))

    @cached_property
    def reached(self) -> Mapping[object, frozenset[str]]:
        """For each place and each function (file, name, line) of the program, the operations that it leads to."""
        found: dict[object, set[str]] = defaultdict(set)
        for span in self.recording.spans:
            if span.kind not in WAITS or span.kind in TURNS or self.inside_wait(span):
                continue
            site = span.site
            for call in self.recording.callers(span.invocation):
                found[site].add(span.name)
                found[call.file, call.function, call.line].add(span.name)
                site = call.site
        return {key: frozenset(names) for key, names in found.items()}

    @cached_property
    def units(self) -> Mapping[int, Mapping[int, Sequence[Unit]]]:
        """For each trace and each of its invocations, the calls it made that waited for requests, in order."""
        return {trace.id: self._units(trace) for trace in self.traces}

    def _units(self, trace: Trace) -> dict[int, list[Unit]]:
        gathered: dict[tuple[int, int], list[Span]] = defaultdict(list)
        paths: dict[tuple[int, int], tuple[Place, tuple[Invocation, ...]]] = {}
        for span in self.requests(trace):
            path: tuple[Invocation, ...] = ()
            site, invocation = span.site, self.recording.invocations.get(span.invocation)
            while invocation is not None and site is not None:
                # A call is one invocation of a function of the user's, or, at the bottom, the request itself.
                key = invocation.id, path[0].id if path else -span.id
                gathered[key].append(span)
                paths.setdefault(key, (site, path))
                path = (invocation, *path)
                if invocation.id == trace.invocation:
                    break
                site, invocation = invocation.site, self.recording.invocations.get(invocation.caller)
                if invocation is not None and invocation.start_ns < trace.start_ns:
                    break
        units: dict[int, list[Unit]] = defaultdict(list)
        for (invocation_id, _), spans in gathered.items():
            site, path = paths[invocation_id, _]
            start = min(span.start_ns for span in spans)
            end = max(self.end_of(span) for span in spans)
            if path:
                start, end = min(start, path[0].start_ns), max(end, path[0].end_ns)
            units[invocation_id].append(Unit(site, start, end, tuple(spans), path))
        for each in units.values():
            each.sort(key=lambda unit: unit.start_ns)
        return units
