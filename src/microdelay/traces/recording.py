"""Reads a recording (`.mdr`) to its end or to the place where it is cut; its layout is in `record/layout.py`."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from microdelay.errors import RecordingError
from microdelay.record import layout
from microdelay.spans import Place, Span
from microdelay.traces.chunks import Chunks, load
from microdelay.traces.columns import Spans
from microdelay.traces.contents import Contents, Table
from microdelay.traces.doubles import without_doubles
from microdelay.traces.model import Activity, Invocation, Recording, Sample, Step
from microdelay.traces.processes import Processes
from microdelay.traces.settle import begun, ended, placed
from microdelay.traces.unknown import unknown_waits

Progress = Callable[[int, int], None]


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


def _read(chunks: Chunks, progress: Progress | None) -> Contents:
    contents = Contents(chunks.name)
    try:
        for tag, payload in chunks:
            contents.take(tag, payload)
            if progress is not None:
                progress(chunks.offset, chunks.size)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise RecordingError(f"recording does not fit together ({error}), record again: {chunks.name}") from error
    return contents


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
        spans = [placed(span, activities) for span in self._spans()]
        samples = self._samples(activities)
        spans.sort(key=_order)
        spans += unknown_waits(spans, samples, self._sources)
        spans.sort(key=_order)
        steps = self._steps(joins)
        last = max(
            [self._done.get("end_ns", 0), *(span.end_ns for span in spans), *(s[-1].end_ns for s in steps.values())]
        )
        return Recording(
            spans=Spans.of(spans),
            invocations=ended(begun(self._invocations(), spans), activities, last),
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
        lives = {key: (start, end) for key, start, end in self._rows(b"ENDA")} | self._tasks_that_ended()
        made = {}
        for key, kind, name, parent, created, invocation, site in self._rows(b"ACTI"):
            start, end = lives.get(key, (created, 0))
            place = self._places.get(site)
            made[key] = Activity(
                key, self._text(kind), self._text(name), parent, created, start, end, invocation, place
            )
        return made

    def _tasks_that_ended(self) -> dict[int, tuple[int, int]]:
        """Give start and end of tasks by their steps, of which the last one says that it is."""
        begun: dict[int, int] = {}
        ended: dict[int, int] = {}
        for activity, start, ran, waited, *_ in self._rows(b"STEP"):
            begun.setdefault(activity, start)
            if waited < 0:
                ended[activity] = start + ran
        return {activity: (begun[activity], end) for activity, end in ended.items()}

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
    if failure := done.get("failure"):
        yield f"the recording stopped before the program did, it could not be written to: {failure}"
    if dropped := done.get("dropped"):
        yield f"{dropped:,} events were dropped: the program made them faster than they could be written"
    if unwritten := done.get("unwritten"):
        events = f"{unwritten:,} event{'s' * (unwritten > 1)}"
        yield f"{events} of the last moment missing: the program ended before more could be written"
    for where, count in done.get("troubles", {}).items():
        yield f"the recorder stood aside {count:,} times at: {where}"
