"""Makes a recording of what its file's tables say; see `record/layout.py`."""

from __future__ import annotations

import numpy as np

from microdelay.record import layout
from microdelay.spans import Place, Span
from microdelay.traces.columns import Codes, LazyShapes, Shape, Spans, SpanTable
from microdelay.traces.contents import Contents, Table
from microdelay.traces.index import Bools, Groups, Index, Ints
from microdelay.traces.model import Recording
from microdelay.traces.outlines import Outlines
from microdelay.traces.records import Places, Texts, column
from microdelay.traces.settle import begun, ended, of_creators, settled
from microdelay.traces.tables import Activities, Activity, Invocations, Samples, Steps
from microdelay.traces.unknown import unknown_waits


def build(contents: Contents) -> Recording:
    """Make the recording of a file's contents, whose tables are used up."""
    return _Builder(contents).build()


class _Builder:
    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._processes = contents.processes
        self._places = Places()
        sites = contents.table(b"SITE")
        self._sites = Index(sites["site"])
        names = (sites[name].tolist() for name in ("file", "line", "function", "end_line", "column", "end_column"))
        self._site_codes = column(
            self._places.code(Place(self._text(file), line, self._text(function), *rest))
            for file, line, function, *rest in zip(*names, strict=True)
        )

    def build(self) -> Recording:
        joins = self._contents.table(b"JOIN")
        steps = self._steps(joins)
        activities = self._activities(steps)
        spans = self._spans(activities)
        seen = self._contents.table(b"SAMP")
        samples = self._samples(seen, seen["looks"] > 0, activities)
        measured = self._samples(seen, seen["looks"] == 0, activities)
        found = unknown_waits(spans, samples, self._contents.sources)
        if found:
            spans = _ordered(_with(spans.table, found))
        done = self._processes.done()
        lasts = steps.end_ns[steps.groups.starts[1:] - 1]
        last = max([done.get("end_ns", 0), *(int(each.max()) for each in (spans.end_ns, lasts) if len(each))])
        calls = ended(begun(self._invocations(), spans), activities, last)
        real = (joins["span"] > 0) & (joins["activity"] != 0)
        waited = Groups(joins["span"][real], joins["activity"][real])
        return Recording(
            spans=spans,
            invocations=calls,
            activities=activities,
            steps=steps,
            joins={key: tuple(waited.get(key).tolist()) for key in waited} | self._processes.joins(spans),
            meta=self._processes.meta(),
            done=done,
            warnings=tuple(self._processes.warnings()),
            samples=samples,
            outlines=self._outlines(),
            measured={activity: lane[-1] for activity, lane in measured.items()},
        )

    def _text(self, index: int) -> str:
        return self._contents.texts.get(index, "")

    def _texts(self, indices: Ints) -> Texts:
        """Give a column of texts, each distinct one once."""
        known, codes = np.unique(indices, return_inverse=True)
        texts = Texts.of(map(self._text, known.tolist()))
        return Texts(texts.codes[codes], texts.known)

    def _placed(self, sites: Ints) -> Ints:
        """Give the places of sites, 0 for those that are not known."""
        rows = self._sites.rows(sites)
        return np.where(rows >= 0, self._site_codes[rows], 0) if len(self._site_codes) else np.zeros_like(sites)

    def _activities(self, steps: Steps) -> Activities:
        made, lives = self._contents.table(b"ACTI"), self._contents.table(b"ENDA")
        at = Index(lives["activity"]).rows(made["activity"])
        known = at >= 0
        starts, ends = made["created_ns"].copy(), np.zeros(len(at), np.int64)
        starts[known], ends[known] = lives["start_ns"][at[known]], lives["end_ns"][at[known]]
        # A task's last step says that it is, and with that when the task ended.
        last = np.flatnonzero(steps.resumed_ns == 0)
        first = steps.groups.starts[Index(steps.groups.keys).rows(steps.activity[last])]
        at = Index(steps.activity[last]).rows(made["activity"])
        known = at >= 0
        starts[known], ends[known] = steps.start_ns[first[at[known]]], steps.end_ns[last[at[known]]]
        columns = {
            "id": made["activity"], "parent": made["parent"], "created_ns": made["created_ns"], "start_ns": starts,
            "end_ns": ends, "invocation": made["invocation"], "site": self._placed(made["site"]),
        }  # fmt: skip
        found = Activities(columns, self._texts(made["kind"]), self._texts(made["name"]), self._places)
        mains: dict[int, Activity] = self._processes.activities()
        return Activities.of(dict(found) | mains, self._places) if mains else found

    def _spans(self, activities: Activities) -> Spans:
        rows = self._contents.table(b"SPAN")
        shapes, templates, shape = self._shapes(rows.pop("shape"))
        start, duration = rows["start_ns"], rows.pop("duration_ns")
        end = start + duration
        site = self._placed(rows.pop("site"))
        site = np.where(templates[shape] > 0, templates[shape], site)
        activity, invocation, site = settled(rows["activity"], end, rows["invocation"], site, activities)
        used = self._contents.table(b"CPUT")
        at = Index(used["span"]).rows(rows["id"])
        cpu_start, cpu = np.full((2, len(at)), -1, np.int64)
        read = at >= 0
        cpu_start[read] = used["cpu_start_ns"][at[read]]
        # The two clocks are read one after the other.
        cpu[read] = np.minimum(used["cpu_ns"][at[read]], duration[read])
        table = SpanTable(
            rows["id"], start, end, activity, invocation, site.astype(np.int32), shape, rows["input"], rows["output"],
            cpu_start, cpu, shapes, self._places,
        )  # fmt: skip
        spans = _ordered(table)
        flow = self._contents.table(b"FLOW")
        at = spans.table.index.rows(flow["span"])
        sent = flow["sent"] != 0
        spans.table.sent, spans.table.received = (
            Groups(at[chosen], flow["value"][chosen]) for chosen in ((at >= 0) & sent, (at >= 0) & ~sent)
        )
        return spans

    def _shapes(self, used: Ints) -> tuple[LazyShapes, Ints, Codes]:
        """Give the shapes, the place in a template that each stands at (0: none), and which of them spans have."""
        rows = self._contents.table(b"SHAP")
        index = self._shape_index = Index(rows["shape"])
        columns = [list(map(self._text, rows[name].tolist())) for name in ("kind", "name", "attributes", "error")]
        kinds, names, attributes, errors = columns
        firsts = np.where(rows["first"] != 0, index.rows(rows["first"]), -1)
        if np.any((firsts < 0) & (rows["first"] != 0)):
            raise LookupError("a shape adds to one that is not there")
        shapes = self._lazy_shapes = LazyShapes(kinds, names, firsts, attributes, errors)
        shape = index.rows(used)
        if np.any(shape < 0):
            raise LookupError("a span is of a shape that is not there")
        templates = np.zeros(len(shapes), np.int64)
        named = [TEMPLATE in text for text in attributes]
        for each in range(len(shapes)):
            if named[each] or (firsts[each] >= 0 and named[firsts[each]]):
                templates[each] = self._places.code(_template(shapes[each]))
        return shapes, templates, shape.astype(np.int32)

    def _outlines(self) -> Outlines:
        """Give the roots of traces without details; after the spans, with which they share shapes."""
        rows = self._contents.table(b"ROOT")
        shape = self._shape_index.rows(rows["shape"])
        if np.any(shape < 0):
            raise LookupError("a root is of a shape that is not there")
        return Outlines(rows["start_ns"], rows["duration_ns"], shape, rows["kinds"], self._lazy_shapes)

    def _invocations(self) -> Invocations:
        made, returns = self._contents.table(b"INVO"), self._contents.table(b"RETN")
        at = Index(returns["invocation"]).rows(made["invocation"])
        ends = np.zeros(len(at), np.int64)
        ends[at >= 0] = returns["end_ns"][at[at >= 0]]
        columns = {
            "id": made["invocation"], "line": made["line"], "activity": made["activity"],
            "start_ns": made["start_ns"], "end_ns": ends, "caller": made["caller"],
            "site": self._placed(made["caller_site"]),
        }  # fmt: skip
        return Invocations(columns, self._texts(made["function"]), self._texts(made["file"]), self._places)

    def _steps(self, joins: Table) -> Steps:
        rows = self._contents.table(b"STEP")
        order = np.lexsort((rows["start_ns"], rows["activity"]))
        rows = {name: values[order] for name, values in rows.items()}
        end = rows["start_ns"] + rows["ran_ns"]
        resumed = np.where(rows["waited_ns"] >= 0, end + rows["waited_ns"], 0)
        columns = {
            "activity": rows["activity"], "start_ns": rows["start_ns"], "end_ns": end, "resumed_ns": resumed,
            "ready_ns": np.where(rows["late_ns"] >= 0, resumed - rows["late_ns"], 0), "cause": rows["cause"],
            "invocation": rows["invocation"], "site": self._placed(rows["site"]),
        }  # fmt: skip
        awaited = (joins["span"] <= 0) & (joins["activity"] != 0)
        groups = Groups(-joins["span"][awaited], joins["activity"][awaited])
        return Steps(columns, self._texts(rows["on"]), groups, self._places)

    def _samples(self, rows: Table, wanted: Bools, activities: Activities) -> Samples:
        rows = {name: values[wanted] for name, values in rows.items()}
        order = np.lexsort((rows["start_ns"], rows["activity"]))
        rows = {name: values[order] for name, values in rows.items()}
        site, invocation = of_creators(rows["activity"], self._placed(rows["site"]), rows["invocation"], activities)
        columns = {
            "activity": rows["activity"], "start_ns": rows["start_ns"], "end_ns": rows["start_ns"] + rows["lasted_ns"],
            "cpu_ns": rows["cpu_ns"], "clock_ns": rows["clock_ns"], "late_ns": rows["late_ns"], "looks": rows["looks"],
            "is_still": rows["flags"] & layout.STILL, "is_probed": rows["flags"] & layout.PROBED,
            "invocation": invocation, "site": site, "delay_ns": rows["delay_ns"],
        }  # fmt: skip
        return Samples(columns, self._texts(rows["package"]), self._texts(rows["call"]), self._places)


TEMPLATE = "microdelay.template"


def _template(shape: Shape) -> Place | None:
    """Give the line of a template that a span stands at rather than at a line of Python."""
    file, colon, line = str(shape.attributes.get(TEMPLATE, "")).rpartition(":")
    return Place(file, int(line), "template") if colon else None


def _ordered(table: SpanTable) -> Spans:
    """Give spans by start, an outer one before those inside it."""
    order = np.lexsort((-table.id, -table.end_ns, table.start_ns))
    return Spans(table.taken(order))


def _with(table: SpanTable, more: list[Span]) -> SpanTable:
    """Add spans that are objects to a table."""
    shapes = table.shapes
    assert isinstance(shapes, LazyShapes)
    numbers = []
    for span in more:
        numbers.append(len(shapes))
        shapes.append(Shape(span.kind, span.name, span.attributes, span.error))
    added = Spans.of(more).table
    site = np.array([table.places.code(span.site) for span in more], dtype=np.int32)
    return SpanTable(
        id=np.append(table.id, added.id),
        start_ns=np.append(table.start_ns, added.start_ns),
        end_ns=np.append(table.end_ns, added.end_ns),
        activity=np.append(table.activity, added.activity),
        invocation=np.append(table.invocation, added.invocation),
        site=np.append(table.site, site),
        shape=np.append(table.shape, np.array(numbers, dtype=np.int32)),
        input=np.append(table.input, added.input),
        output=np.append(table.output, added.output),
        cpu_start_ns=np.append(table.cpu_start_ns, added.cpu_start_ns),
        cpu_ns=np.append(table.cpu_ns, added.cpu_ns),
        shapes=table.shapes,
        places=table.places,
        sent=table.sent,
        received=table.received,
    )
