"""Reads a recording (`.mdr`) to its end or to the place where it is cut; its layout is in `record/layout.py`."""

from __future__ import annotations

import json
import os
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from microdelay.errors import RecordingError
from microdelay.record import layout
from microdelay.spans import Place, Span
from microdelay.traces.chunks import Chunks, load
from microdelay.traces.doubles import without_doubles
from microdelay.traces.model import Activity, Invocation, Recording, Sample, Step
from microdelay.traces.processes import Process, Processes
from microdelay.traces.unknown import unknown_waits

T = TypeVar("T")
Progress = Callable[[int, int], None]
Table = dict[str, list[int]]


def read(path: str | os.PathLike[str], progress: Progress | None = None) -> Recording:
    """Read a recording; `progress(bytes_read, bytes_in_all)` is called along the way.

    A cut or damaged end is left out and said in `warnings`. Raises RecordingError if the file cannot be read, is no
    recording, is of a newer version or holds nothing.
    """
    name = os.fspath(path)
    chunks = Chunks(name, load(name))
    contents = _read(chunks, progress)
    processes = contents.processes
    if not processes.first.meta:
        raise RecordingError(f"recording is cut short before its first chunk, nothing can be used: {name}")
    if not processes.has_end and not chunks.warnings:
        chunks.cut("has no end")
    try:
        made = without_doubles(_Builder(contents.tables, contents.texts, processes, contents.sources).build())
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        raise RecordingError(f"recording does not fit together ({error}), record again: {name}") from error
    if not made.spans and not made.steps and not made.samples:
        raise RecordingError(
            f"recording is empty, the program waited for nothing that a probe knows: {name}"
            + ("" if made.done else " (and it did not end in order: was it killed in its first second?)")
        )
    return replace(made, warnings=(*chunks.warnings, *made.warnings), sources=contents.sources, path=name)


def _read(chunks: Chunks, progress: Progress | None) -> _Contents:
    contents = _Contents(chunks.name)
    try:
        for tag, payload in chunks:
            contents.take(tag, payload)
            if progress is not None:
                progress(chunks.offset, chunks.size)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise RecordingError(f"recording does not fit together ({error}), record again: {chunks.name}") from error
    return contents


def _json(payload: bytes, kind: type[T], name: str) -> T:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise RecordingError(f"recording has a chunk that is not what it should be, record again: {name}")
    return value


class _Contents:
    """What the chunks of a file say, as it was written."""

    def __init__(self, name: str) -> None:
        self.tables: dict[bytes, Table] = {
            tag: {column: [] for column in columns} for tag, columns in layout.TABLES.items()
        }
        self.texts: dict[int, str] = {}
        self.sources: dict[str, str] = {}
        self.processes = Processes()
        self._name = name

    def take(self, tag: bytes, payload: bytes) -> None:
        """Take one chunk. Raises RecordingError if it is not what it should be."""
        processes = self.processes
        if tag == layout.ROWS:
            if processes.current.is_whole:
                self._take_rows(payload, processes.current)
        elif tag == layout.PROCESS:
            processes.turn_to(_json(payload, list, self._name))
        elif tag == layout.META:
            processes.begin(_json(payload, dict, self._name))
        elif tag == layout.SOURCE:
            self.sources |= _json(payload, dict, self._name)
        elif tag == layout.CHILDREN:
            processes.children += _json(payload, list, self._name)
        elif tag == layout.DONE:
            processes.current.done = _json(payload, dict, self._name)

    def _take_rows(self, payload: bytes, process: Process) -> None:
        offset = 0
        try:
            while offset < len(payload):
                tag, count = layout.TABLE.unpack_from(payload, offset)
                offset += layout.TABLE.size
                if tag == layout.TEXT:
                    for text in _json(payload[offset : offset + count], list, self._name):
                        self.texts[process.new_text()] = str(text)
                    offset += count
                    continue
                for name in layout.TABLES[tag]:
                    first = None
                    if name in layout.DELTAS:
                        (first,) = layout.FIRST.unpack_from(payload, offset)
                        offset += layout.FIRST.size
                    width = layout.WIDTHS[chr(payload[offset])]
                    values = np.frombuffer(payload, f"<i{width}", count, offset + 1).astype("<i8")
                    values = values if first is None else np.cumsum(values) + first
                    self.tables[tag][name].extend(process.placed(tag, name, values).tolist())
                    offset += 1 + width * count
        except (struct.error, LookupError, ValueError):
            where = f"recording has a chunk of a shape unknown here, record again: {self._name}"
            raise RecordingError(where) from None


class _Builder:
    """Makes the model's objects of the tables."""

    def __init__(
        self,
        tables: Mapping[bytes, Table],
        texts: Mapping[int, str],
        processes: Processes,
        sources: Mapping[str, str],
    ) -> None:
        self._tables = tables
        self._texts = texts
        self._processes = processes
        self._done = processes.done()
        self._sources = sources
        self._places: dict[int, Place] = {}

    def build(self) -> Recording:
        """Make the recording."""
        for site, file, function, line, end_line, column, end_column in self._rows(b"SITE"):
            self._places[site] = Place(self._text(file), line, self._text(function), end_line, column, end_column)
        joins: dict[int, list[int]] = defaultdict(list)
        for key, activity in self._rows(b"JOIN"):
            if activity:
                joins[key].append(activity)
        activities = self._activities() | self._processes.activities()
        spans = [_placed(span, activities) for span in self._spans()]
        samples = self._samples(activities)
        spans.sort(key=_order)
        spans += unknown_waits(spans, samples, self._sources)
        spans.sort(key=_order)
        steps = self._steps(joins)
        last = max(
            [self._done.get("end_ns", 0), *(span.end_ns for span in spans), *(s[-1].end_ns for s in steps.values())]
        )
        return Recording(
            spans=spans,
            invocations=_settled(_begun(self._invocations(), spans), activities, last),
            activities=activities,
            steps=steps,
            joins={key: tuple(targets) for key, targets in joins.items() if key > 0} | self._processes.joins(spans),
            meta=self._processes.meta(),
            done=self._done,
            warnings=(*_warnings(self._done), *self._processes.warnings()),
            samples=samples,
        )

    def _rows(self, tag: bytes) -> Iterator[tuple[int, ...]]:
        return zip(*self._tables[tag].values(), strict=True)

    def _text(self, index: int) -> str:
        return self._texts.get(index, "")

    def _spans(self) -> Iterator[Span]:
        sent: dict[int, set[int]] = defaultdict(set)
        received: dict[int, set[int]] = defaultdict(set)
        for span, is_sent, value in self._rows(b"FLOW"):
            (sent if is_sent else received)[span].add(value)
        nothing: frozenset[int] = frozenset()
        cpu = {span: (start, used) for span, start, used in self._rows(b"CPUT")}
        shapes: dict[int, tuple[str, str, dict[str, Any], str, Place | None]] = {}
        for shape, kind, name, first, attributes, error in self._rows(b"SHAP"):
            added = json.loads(self._text(attributes) or "{}")
            whole = shapes[first][2] | added if first else added
            shapes[shape] = self._text(kind), self._text(name), whole, self._text(error), _template(whole)
        for key, start, duration, activity, invocation, site, shape, input_, output in self._rows(b"SPAN"):
            kind_, name_, attributes_, error_, template = shapes[shape]
            cpu_start, cpu_ns = cpu.get(key, (-1, -1))
            yield Span(
                id=key,
                kind=kind_,
                name=name_,
                start_ns=start,
                end_ns=start + duration,
                activity=activity,
                invocation=invocation,
                site=template or self._places.get(site),
                attributes=attributes_,
                input=input_,
                output=output,
                sent=frozenset(sent[key]) if key in sent else nothing,
                received=frozenset(received[key]) if key in received else nothing,
                cpu_start_ns=cpu_start,
                cpu_ns=min(cpu_ns, duration),  # the two clocks are read one after the other
                error=error_,
            )

    def _invocations(self) -> dict[int, Invocation]:
        returns = self._rows(b"RETN")
        ends = {key: end for key, end, *_ in returns}
        return {
            key: Invocation(
                id=key,
                function=self._text(function),
                file=self._text(file),
                line=line,
                activity=activity,
                start_ns=start,
                end_ns=ends.get(key, 0),
                caller=caller,
                site=self._places.get(site),
            )
            for key, file, function, line, activity, start, caller, site in self._rows(b"INVO")
        }

    def _activities(self) -> dict[int, Activity]:
        lives = {key: (start, end) for key, start, end in self._rows(b"ENDA")}
        made = {}
        for key, kind, name, parent, created, invocation, site in self._rows(b"ACTI"):
            start, end = lives.get(key, (created, 0))
            place = self._places.get(site)
            made[key] = Activity(
                key, self._text(kind), self._text(name), parent, created, start, end, invocation, place
            )
        return made

    def _steps(self, joins: Mapping[int, list[int]]) -> dict[int, list[Step]]:
        steps: dict[int, list[Step]] = defaultdict(list)
        for activity, start, ran, waited, late, cause, invocation, site, on in self._rows(b"STEP"):
            end = start + ran
            resumed = end + waited if waited >= 0 else 0
            ready = resumed - late if late >= 0 else 0
            joined = tuple(joins.get(-start, ()))
            place = self._places.get(site)
            steps[activity].append(
                Step(activity, start, end, resumed, ready, cause, invocation, place, self._text(on), joined)
            )
        for lane in steps.values():
            lane.sort(key=lambda step: step.start_ns)
        return dict(steps)

    def _samples(self, activities: Mapping[int, Activity]) -> dict[int, list[Sample]]:
        samples: dict[int, list[Sample]] = defaultdict(list)
        for activity, start, lasted, cpu, clock, late, looks, flags, invocation, site, package, call in self._rows(
            b"SAMP"
        ):
            place, call_id = self._places.get(site), invocation
            owner = activities.get(activity)
            while place is None and owner is not None:  # as for spans
                place, call_id = owner.site, owner.invocation
                owner = activities.get(owner.parent) if owner.parent < owner.id else None
            samples[activity].append(
                Sample(
                    activity=activity,
                    start_ns=start,
                    end_ns=start + lasted,
                    cpu_ns=cpu,
                    clock_ns=clock,
                    late_ns=late,
                    looks=looks,
                    is_still=bool(flags & layout.STILL),
                    is_probed=bool(flags & layout.PROBED),
                    invocation=call_id,
                    site=place,
                    package=self._text(package),
                    call=self._text(call),
                )
            )
        for lane in samples.values():
            lane.sort(key=lambda sample: sample.start_ns)
        return dict(samples)


def _order(span: Span) -> tuple[int, int, int]:
    return span.start_ns, -span.end_ns, -span.id


def _template(attributes: Mapping[str, Any]) -> Place | None:
    """Give the line of a template that a span stands at rather than at a line of Python."""
    file, colon, line = str(attributes.get("microdelay.template", "")).rpartition(":")
    return Place(file, int(line), "template") if colon else None


def _placed(span: Span, activities: Mapping[int, Activity]) -> Span:
    """Let a span without user code around it stand where its task or work item was created.

    One that outlives its task is the creator's: a stream that one task begins to read and others go on with.
    """
    owner = activities.get(span.activity)
    while owner is not None and owner.kind == "task" and 0 < owner.end_ns < span.end_ns:
        creator = activities.get(owner.parent) if owner.parent < owner.id else None
        if creator is not None:
            span = replace(span, activity=creator.id)
        owner = creator
    owner = activities.get(span.activity)
    while span.site is None and owner is not None:
        span = replace(span, site=owner.site, invocation=owner.invocation)
        owner = activities.get(owner.parent) if owner.parent < owner.id else None
    return span


def _begun(invocations: dict[int, Invocation], spans: Sequence[Span]) -> dict[int, Invocation]:
    """Begin each call no later than the first span in it: a mark is set by the innermost wait, or at a suspension."""
    for span in spans:
        call = invocations.get(span.invocation)
        while call is not None and span.start_ns < call.start_ns:
            invocations[call.id] = replace(call, start_ns=span.start_ns)
            call = invocations.get(call.caller)
    return invocations


def _settled(
    invocations: Mapping[int, Invocation], activities: Mapping[int, Activity], last_ns: int
) -> dict[int, Invocation]:
    """End each call no later than its activity, its caller, and the next call from the same caller.

    A frame can outlive its call when a traceback holds it, and a killed program's last calls have no end.
    """
    siblings: dict[tuple[int, int], list[Invocation]] = defaultdict(list)
    for call in invocations.values():
        siblings[call.activity, call.caller].append(call)
    settled: dict[int, Invocation] = {}
    bounds: dict[int, int] = {}
    for calls in siblings.values():
        calls.sort(key=lambda call: (call.start_ns, call.id))
        for call, following in zip(calls, [*calls[1:], None], strict=True):
            if following is not None:
                bounds[call.id] = following.start_ns
    for key in sorted(invocations, key=lambda key: (invocations[key].start_ns, key)):
        call = invocations[key]
        owner = activities.get(call.activity)
        candidates = [call.end_ns or last_ns, bounds.get(key, last_ns), owner.end_ns if owner else 0]
        caller = settled.get(call.caller)
        candidates.append(caller.end_ns if caller else 0)
        settled[key] = replace(call, end_ns=max(call.start_ns, min(end for end in candidates if end)))
    return settled


def _warnings(done: Mapping[str, Any]) -> Iterator[str]:
    sampling = done.get("sampling", {})
    if sampling.get("seen"):
        kept = sampling["sampled"] + sampling["slow"]
        slow = f"{sampling['slow']:,} of them as the slowest so far"
        yield f"sampled: {kept:,} of {sampling['seen']:,} traces are here, {slow}"
    elif sampling:
        yield "--sample had no trace to choose from, so everything was kept: name the unit of work by --trace-root"
    if limit := done.get("full"):
        yield f"the recording stopped at its size limit of {limit:,} bytes; see --max-size and --max-age"
    if dropped := done.get("dropped"):
        yield f"{dropped:,} events were dropped: the program made them faster than they could be written"
    for where, count in done.get("troubles", {}).items():
        yield f"the recorder stood aside {count:,} times at: {where}"
