"""A recording and its traces as the rules look at them, with what several of them need worked out once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from microdelay.diagnose.rows import Rows
from microdelay.spans import CONNECTING, LOCK, LOG, POOL, REQUESTS, TELEMETRY, WAITS, Span
from microdelay.traces.columns import Shape, Spans
from microdelay.traces.index import Bools, Groups, Ints, grouped
from microdelay.traces.model import Recording, Trace
from microdelay.traces.paths import Paths

TURNS = CONNECTING | {LOCK, POOL}
"""Kinds of waits that come before an operation, and lead to nothing themselves."""

OWNERS = REQUESTS | {LOG, TELEMETRY}
"""Kinds whose waits inside are theirs: what a log call opens goes away with the log call."""


@dataclass(frozen=True, eq=False)
class Case:
    """What rules are given.

    A rule chooses rows by their columns, e.g. `case.select({DB}, is_select, outermost=True)`, groups them
    (`rows.groups(rows.trace, rows.spans.site, least=3)`), and looks at the objects of what is left only (`rows.spans`).
    """

    recording: Recording
    traces: Sequence[Trace]

    @cached_property
    def rows(self) -> Rows:
        """Every span of every trace, by trace and in each by start."""
        counts = [len(trace.spans) for trace in self.traces]
        rows = [trace.spans.rows for trace in self.traces]
        numbers = np.repeat(np.arange(len(counts)), counts)
        return Rows(self.recording.spans, numbers, np.concatenate(rows) if rows else np.zeros(0, np.int64))

    def select(
        self,
        kinds: Collection[str] = (),
        where: Callable[[Shape], bool] | None = None,
        *,
        outermost: bool = False,
    ) -> Rows:
        """Give the spans of traces that are of some kinds (any, where none is given) and for which `where` holds.

        `where` is asked once for each shape: kind, name, attributes and error. With `outermost`, only spans that stand
        in no request, no log call and no export.
        """
        spans = self.recording.spans
        chosen = spans.of_kinds(kinds) if kinds else np.ones(len(spans), bool)
        if outermost:
            chosen &= ~self.inside
        if where is not None:
            chosen = spans.where(where, chosen)
        return self.rows.take(chosen[self.rows.row])

    @cached_property
    def inside(self) -> Bools:
        """For each row of the recording's spans, whether it is part of a request, a log call or an export."""
        spans, parents = self.recording.spans, self.recording.lanes.parents
        around = spans.of_kinds(OWNERS)
        inside = np.zeros(len(spans), bool)
        at = np.flatnonzero(parents >= 0)
        parent = parents[at]
        while len(at):
            inside[at] |= around[parent]
            parent = parents[parent]
            left = (parent >= 0) & ~inside[at]
            at, parent = at[left], parent[left]
        return inside

    def inside_wait(self, span: Span) -> bool:
        """Tell whether a span is part of a request, a log call or an export."""
        return bool(self.inside[self.recording.spans.table.index.find(span.id)])

    @cached_property
    def outermost(self) -> Mapping[int, Spans]:
        """For each trace, the spans of it that stand in no other span of a wait; a log call's request is the log's."""
        return {trace.id: trace.spans.take(~self.inside[trace.spans.rows]) for trace in self.traces}

    @cached_property
    def _by_kind(self) -> dict[str, Sequence[tuple[Trace, Span]]]:
        return {}

    def spans_of(self, *kinds: str) -> Sequence[tuple[Trace, Span]]:
        """Give the spans of some kinds with their traces: trace by trace, kind by kind, by start.

        Makes an object of each: for kinds of which there are many, `select` first.
        """
        for kind in kinds:
            if kind not in self._by_kind:
                self._by_kind[kind] = list(self.pairs(self.select({kind})))
        return [each for kind in kinds for each in self._by_kind[kind]]

    def pairs(self, rows: Rows) -> Iterator[tuple[Trace, Span]]:
        """Give spans as objects, each with its trace."""
        return ((self.traces[trace], span) for trace, span in zip(rows.trace.tolist(), rows.spans, strict=True))

    @cached_property
    def _are_requests(self) -> Bools:
        return self.recording.spans.where(_is_request) & ~self.inside

    def requests(self, trace: Trace) -> Spans:
        """Give the HTTP requests that a trace made itself, each until its body was read."""
        return trace.spans.take(self._are_requests[trace.spans.rows])

    @cached_property
    def all_requests(self) -> Rows:
        """The HTTP requests that traces made themselves."""
        return self.rows.take(self._are_requests[self.rows.row])

    @cached_property
    def body_rows(self) -> Groups:
        """For the row of a request, the rows in which its body was read, where that was a wait of its own."""
        spans = self.recording.spans
        order = self.recording.lanes.groups.values
        order = order[spans.of_kinds(REQUESTS)[order]]
        order = order[np.lexsort((spans.input[order], spans.activity[order]))]
        if not len(order):
            return Groups(order, order)
        is_body = spans.where(lambda shape: shape.attributes.get("part") == "body")[order]
        # Of the same activity and input, the request that came last before it.
        known = np.maximum.accumulate(np.where(is_body, -1, np.arange(len(order))))
        request = order[known]
        same = (spans.input[request] == spans.input[order]) & (spans.activity[request] == spans.activity[order])
        belongs = is_body & (known >= 0) & same
        return Groups(request[belongs], order[belongs])

    @cached_property
    def bodies(self) -> Mapping[int, Sequence[Span]]:
        """The spans in which the body was read that belongs to each request, where that was a wait of its own."""
        spans, found = self.recording.spans, self.body_rows
        return {int(spans.id[row]): spans.take(found.get(row)) for row in found}

    @cached_property
    def ends_ns(self) -> Ints:
        """For each row of the recording's spans its end, of a request when its body had been read."""
        ends = self.recording.spans.end_ns.copy()
        found = self.body_rows
        np.maximum.at(ends, np.repeat(found.keys, np.diff(found.starts)), ends[found.values])
        return ends

    @cached_property
    def outputs(self) -> Ints:
        """For each row of the recording's spans the fingerprint of its answer, of a request that of its body."""
        outputs = self.recording.spans.output.copy()
        found = self.body_rows
        request = np.repeat(found.keys, np.diff(found.starts))
        read = outputs[found.values]
        known, first = np.unique(request[read != 0], return_index=True)
        outputs[known] = read[read != 0][first]
        return outputs

    def end_of(self, request: Span) -> int:
        """Give when a request's body had been read."""
        return int(self.ends_ns[self.recording.spans.table.index.find(request.id)])

    def output_of(self, request: Span) -> int:
        """Give the fingerprint of a request's answer, 0 where it was not read or not seen."""
        return int(self.outputs[self.recording.spans.table.index.find(request.id)])

    def received_by(self, request: Span) -> frozenset[int]:
        """Give the single values in a request's answer."""
        rows = self.body_rows.get(self.recording.spans.table.index.find(request.id))
        return request.received.union(*(body.received for body in self.recording.spans.take(rows)))

    @cached_property
    def reached(self) -> Mapping[object, frozenset[str]]:
        """For each place and each function (file, name, line) of the program, the operations that it leads to."""
        found: dict[object, set[str]] = defaultdict(set)
        recording, paths = self.recording, self.paths
        spans, calls = recording.spans, recording.calls
        row = calls.index.rows(spans.invocation)
        leads = np.flatnonzero(spans.of_kinds(WAITS - TURNS) & ~self.inside & (row >= 0))
        path, site = paths.of_call[row[leads]], spans.site[leads]
        name, names = spans.take(leads).coded(lambda shape: shape.name)
        for same in grouped(path, site, name):
            first = same[0]
            place = spans.table.places.known[int(site[first])]
            for each in paths.chain(int(path[first])):
                call = calls.row(paths.example[each])
                found[place].add(names[name[first]])
                found[call.file, call.function, call.line].add(names[name[first]])
                place = call.site
        return {key: frozenset(each) for key, each in found.items()}

    @cached_property
    def paths(self) -> Paths:
        """The ways through the user's functions to each call."""
        return Paths(self.recording)


def _is_request(shape: Shape) -> bool:
    return shape.kind in REQUESTS and shape.attributes.get("part") != "body"
