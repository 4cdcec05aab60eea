"""A timeline drawn as text becomes a recording: what rules are tested with, and what their pages show."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from microdelay.errors import UsageError
from microdelay.spans import JOIN, TRACE, Span
from microdelay.testing.declare import Declared, Described, declared
from microdelay.traces.columns import Spans
from microdelay.traces.model import Activity, Invocation, Recording, Step

DEFAULT_NS = 10_000_000
"""What one character stands for where the drawing does not say."""

_SCALE = re.compile(r"^\s*1 character = (\d+(?:\.\d+)?) ?(ms|us|s)\s*$")
_LANE = re.compile(r"^\s*(\w+)\s*\|(.*)$")
_DECLARATION = re.compile(r"^\s*([A-Za-z]\w*):\s+(.+)$")
_SPAN = re.compile(r"\[\s*([A-Za-z]\w*)\s*\]|(([A-Za-z])\3*)")
_UNITS = {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000}
_RUN, _AWAIT, _QUEUED = "#", ".", "~"
FILE = "agent.py"
FUNCTION = "work"


def draw(text: str, folder: str | os.PathLike[str] = "") -> Recording:
    """Make a recording of a drawn timeline.

    A line is an activity: its name, `|`, and what it does, one character for 10 ms (or as a line `1 character = 1 ms`
    says). `[name ]` is a span from bracket to bracket, `aaa` one of the name `a`. Spans inside others are drawn in
    another line of the same activity. Below, each name is declared: `METHOD URL`, `sql STATEMENT`, `fetch STATEMENT`,
    `command NAME` (of Redis), `publish TOPIC`, `connect HOST:PORT`, `dns HOST`, `tls HOST`, `sleep`, `log HANDLER`,
    `codec NAME`, `setup NAME`, `import NAME`, `gc`, `cpu`, `pool NAME`, `lock NAME`, `queue NAME`, `process NAME`,
    `telemetry NAME`, `unknown NAME`, `llm MODEL`, `tool NAME`, `agent NAME`, and `join LANE LANE` for waiting until
    other lanes have ended.

        main  |[weather ][finance   ][crm     ]
        main  | cc        cc          cc
        weather: GET http://weather/today
        finance: GET http://finance/account  at 7
        crm: GET http://crm/user  input=each output=none
        c: connect weather:80

    After a declaration may stand `at LINE` (of the user's file, else each name has a line of its own),
    `status=500`, `client=httpx`, `size=BYTES`, `rows=NUMBER`, `tools=NUMBER` (asked for by a model), `seconds=` (of
    a sleep), `error=Timeout`, `system=postgresql`, and what is known of the values that went in and came out:
    `input=` and `output=` are `same` for every span of the name (the default), `each` for different ones, or `none`
    where they were not recorded.

    A line `trace` marks the executions of the unit of work: `trace |[one   ][two   ]`; without it the whole is one.

    A line of `#` and `.` makes an activity an asyncio task of one event loop: it runs at `#`, and awaits at `.`:

        a     |##......##
        a     |  [get ]
        b     |..#####...

    `~` at the beginning of a lane makes it work that the first lane gave to a pool, and that waits for its turn:

        main  |[wait      ]
        one   |~[get ]
        two   |~~~~~~[get ]
        wait: join one two

    After a line `---` the user's source may follow, which is written to `folder` so that places mean something.

    Raises UsageError for a line that is none of these, and for a span that is not declared.
    """
    return _Drawing(text, os.fspath(folder)).recording()


@dataclass
class _Drawing:
    """One drawing while it is read."""

    text: str
    folder: str
    unit_ns: int = DEFAULT_NS
    lanes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    names: dict[str, Declared] = field(default_factory=dict)

    def recording(self) -> Recording:
        drawing, _, source = self.text.partition("\n---\n")
        for line in drawing.splitlines():
            self._line(line)
        file = os.path.join(self.folder, FILE)
        if source:
            with open(file, "w", encoding="utf-8") as opened:
                opened.write(source)
        described = Described(self.names, file, FUNCTION)
        activities, steps = self._activities(described)
        ids = {activity.name: activity.id for activity in activities.values()}
        lives = self._traces() or [(0, self._end())]
        invocations = self._invocations(ids, lives, file)
        spans = list(self._spans(ids, described, count(1)))
        placed = [replace(span, invocation=_invocation(invocations, span)) for span in spans]
        if self._traces():
            placed += self._marked(ids, invocations, lives, len(placed))
        placed.sort(key=lambda span: (span.start_ns, -span.end_ns, span.id))
        joins = {
            span.id: [ids[name] for name in span.name.split() if name in ids] for span in placed if span.kind == JOIN
        }
        return Recording(Spans.of(placed), invocations, activities, steps, joins)

    def _line(self, line: str) -> None:
        if not line.strip():
            return
        if found := _SCALE.match(line):
            self.unit_ns = int(float(found[1]) * _UNITS[found[2]])
        elif found := _LANE.match(line):
            self.lanes[found[1]].append(found[2])
        elif found := _DECLARATION.match(line):
            self.names[found[1]] = declared(found[2], len(self.names) + 1)
        else:
            raise UsageError(
                f"a drawing has lanes (name |[span]) and declarations (name: GET url), not {line.strip()!r}"
            )

    def _traces(self) -> list[tuple[int, int]]:
        return [(start, end) for line in self.lanes.get("trace", ()) for _, start, end in self._cut(line)]

    def _end(self) -> int:
        return max(len(line.rstrip()) for lines in self.lanes.values() for line in lines) * self.unit_ns

    def _cut(self, line: str) -> Iterator[tuple[str, int, int]]:
        for found in _SPAN.finditer(line):
            yield found[1] or found[3], found.start() * self.unit_ns, found.end() * self.unit_ns

    def _activities(self, described: Described) -> tuple[dict[int, Activity], dict[int, list[Step]]]:
        names = [name for name in self.lanes if name != "trace"]
        activities: dict[int, Activity] = {}
        steps: dict[int, list[Step]] = {}
        tasks = [name for name in names if any(_is_task(line) for line in self.lanes[name])]
        loop = len(names) + 1 if tasks else 0
        for number, name in enumerate(names, 1):
            activities[number] = self._given_away(number, name) or Activity(
                number, "task" if name in tasks else "thread", name, loop if name in tasks else 0, 0, 0, self._end()
            )
            for line in self.lanes[name]:
                if _is_task(line):
                    steps[number] = list(self._steps(number, line, described))
        if loop:
            activities[loop] = Activity(loop, "thread", "loop", 0, 0, 0, self._end())
        return activities, steps

    def _given_away(self, number: int, name: str) -> Activity | None:
        """Give the activity of a lane that waits for its turn in a pool before it begins."""
        line = self.lanes[name][0]
        begun = len(line) - len(line.lstrip(f" {_QUEUED}"))
        if _QUEUED not in line[:begun]:
            return None
        created, end = line.index(_QUEUED), max(len(each.rstrip()) for each in self.lanes[name])
        times = (created * self.unit_ns, begun * self.unit_ns, end * self.unit_ns)
        return Activity(number, "work", name, 1, *times, invocation=1)

    def _steps(self, activity: int, line: str, described: Described) -> Iterator[Step]:
        runs = [(found.start() * self.unit_ns, found.end() * self.unit_ns) for found in re.finditer("#+", line)]
        for number, (start, end) in enumerate(runs):
            if number + 1 < len(runs):
                resumed = runs[number + 1][0]
                yield Step(activity, start, end, resumed, resumed, site=described.place(900 + number), on="future")
            else:
                yield Step(activity, start, end)

    def _invocations(self, ids: dict[str, int], lives: Sequence[tuple[int, int]], file: str) -> dict[int, Invocation]:
        made = [
            Invocation(0, FUNCTION, file, 1, activity, start, end) for activity in ids.values() for start, end in lives
        ]
        return {number: replace(each, id=number) for number, each in enumerate(made, 1)}

    def _spans(self, ids: dict[str, int], described: Described, numbers: count[int]) -> Iterator[Span]:
        for name, lines in self.lanes.items():
            if name == "trace":
                continue
            for line in lines:
                for what, start, end in () if _is_task(line) else self._cut(line):
                    yield described.span(what, next(numbers), ids[name], start, end)

    def _marked(
        self, ids: dict[str, int], invocations: dict[int, Invocation], lives: Sequence[tuple[int, int]], after: int
    ) -> list[Span]:
        activity = next(iter(ids.values()))
        spans = [
            Span(after + number, TRACE, FUNCTION, start, end, activity) for number, (start, end) in enumerate(lives, 1)
        ]
        return [replace(span, invocation=_invocation(invocations, span)) for span in spans]


def _is_task(line: str) -> bool:
    return _RUN in line and set(line) <= {_RUN, _AWAIT, " "}


def _invocation(invocations: dict[int, Invocation], span: Span) -> int:
    for each in invocations.values():
        if each.activity == span.activity and each.start_ns <= span.start_ns < each.end_ns:
            return each.id
    return 0
