"""Waits for what has ended already: they took no time, but must still come after it when the program is run again."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from microdelay.diagnose.awaited import LEFT, MET, PERHAPS, Fate, fate
from microdelay.diagnose.ops import JOIN, MAY, MEET, Op
from microdelay.spans import Place, Span
from microdelay.traces.model import Activity, Recording, Step, Trace


class Meetings:
    """Finds them for the activities of a program whose end nobody was seen to wait for."""

    def __init__(
        self, recording: Recording, lanes: Mapping[int, Sequence[Op]], traces: Sequence[Trace], since_ns: int = 0
    ) -> None:
        self._recording = recording
        self._since = since_ns
        self._until = max((trace.end_ns for trace in traces), default=0)
        self._lanes = lanes
        self._joined = {target for ops in lanes.values() for op in ops if op.kind == JOIN for target in op.targets}
        self._traces: dict[int, list[Trace]] = defaultdict(list)
        for trace in sorted(traces, key=lambda each: each.start_ns):
            for activity in trace.activities:
                self._traces[activity].append(trace)
        self._met: set[Place] = set()
        self._outlived: set[Place] = set()
        self._lines: dict[int, list[tuple[int, int, int]]] = {}
        self._passed: dict[tuple[int, int], int] = {}

    def found(self, keys: Collection[int]) -> Iterator[tuple[int, Op]]:
        """Give each with the activity that it is to be put into."""
        born = [each for key in sorted(keys) if (each := self._recording.activities.get(key)) is not None]
        for each in born:
            if each.site is not None and each.parent:
                self._learn(each, each.site)
        for each in born:
            if each.parent in self._lanes and each.id not in self._joined and each.end_ns and each.site is not None:
                yield from self._of(each, fate(each.site), each.site)

    def _learn(self, begun: Activity, site: Place) -> None:
        """Note what the others that were begun at the same place tell: it was waited for, or outlived its trace."""
        trace = self._trace_of(begun)
        if begun.id in self._joined:
            self._met.add(site)
        elif trace is not None and not 0 < begun.end_ns <= trace.end_ns:
            self._outlived.add(site)

    def _of(self, begun: Activity, known: Fate | None, site: Place) -> Iterator[tuple[int, Op]]:
        if known is None or known.kind == LEFT:
            return
        if known.kind == MET:
            at = self._reached(begun, known)
            if at >= begun.end_ns:
                yield begun.parent, Op(MEET, at, at, targets=(begun.id,))
            return
        trace = self._trace_of(begun)
        if known.kind == PERHAPS and trace is not None and site not in self._outlived and begun.end_ns <= trace.end_ns:
            kind = MEET if site in self._met else MAY
            yield trace.activity, Op(kind, trace.end_ns, trace.end_ns, targets=(begun.id,))

    def _trace_of(self, begun: Activity) -> Trace | None:
        own = self._traces.get(begun.parent, [])
        index = bisect_right(own, begun.created_ns, key=lambda trace: trace.start_ns) - 1
        inside = index >= 0 and begun.created_ns <= own[index].end_ns and begun.id != own[index].activity
        return own[index] if inside else None

    def _reached(self, begun: Activity, known: Fate) -> int:
        """Give when the call that began something came to the wait for it, 0 where it ended before that."""
        call = self._recording.invocations.get(begun.invocation)
        if call is None or call.activity != begun.parent:
            return 0
        if known.again:
            at = self._before(begun, known)
        else:
            key = call.id, known.line
            if key not in self._passed:
                passed = [end for _, end, line in self._events(call.id) if line < known.line]
                self._passed[key] = max(passed, default=0)
            at = self._passed[key]
        return min(max(at, begun.end_ns), call.end_ns or at)

    def _before(self, begun: Activity, known: Fate) -> int:
        """Give when that was within the same turn of a loop."""
        events = self._events(begun.invocation)
        at = begun.created_ns
        place = begun.site.line if begun.site is not None else 0
        for start, end, line in events[bisect_left(events, (begun.created_ns, 0, 0)) :]:
            if line >= known.line or line < place or start < at - (end - start):
                break
            at = max(at, end)
        return at

    def _events(self, call: int) -> list[tuple[int, int, int]]:
        """Give (start_ns, end_ns, line) of what a call waited for, in order; in its own lines."""
        known = self._lines.get(call)
        if known is None:
            own = self._recording.invocations[call]
            start, end = max(own.start_ns, self._since), min(own.end_ns or self._until, self._until)
            spans = self._recording.within(own.activity, start, end)
            steps = self._recording.steps_within(own.activity, start, end)
            waits = [(each.start_ns, each.end_ns, self._line(each, call)) for each in spans]
            waits += [(each.end_ns, each.resumed_ns, self._line(each, call)) for each in steps if each.resumed_ns]
            known = self._lines[call] = sorted(each for each in waits if each[2])
        return known

    def _line(self, waited: Span | Step, call: int) -> int:
        """Give the line of a call in which it, or what it called, waited; 0 for what is none of its."""
        inner, site = waited.invocation, waited.site
        seen: set[int] = set()
        while inner and inner != call and inner not in seen:
            seen.add(inner)
            known = self._recording.invocations.get(inner)
            if known is None:
                return 0
            inner, site = known.caller, known.site
        return site.line if inner == call and site is not None else 0
