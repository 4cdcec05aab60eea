"""SQL statements as wholes: sent, and their rows fetched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from microdelay.diagnose.case import Case
from microdelay.spans import DB, Span
from microdelay.traces.model import Trace


@dataclass(slots=True)
class Statement:
    """One statement and the fetching of its rows."""

    trace: Trace
    spans: list[Span] = field(default_factory=list)

    @property
    def taken_ns(self) -> int:
        """What sending it and fetching its rows took."""
        return sum(span.duration_ns for span in self.spans)

    @property
    def rows(self) -> int:
        """How many rows it gave, -1 where the driver did not say."""
        told = [span.attributes.get("db.response.returned_rows") for span in self.spans]
        known = [int(value) for value in told if value is not None]
        return sum(known) if known else -1


Shape = tuple[str, str, object, object, object]
"""Text, system, host, port and database."""


def statements(case: Case) -> Mapping[Shape, Sequence[Statement]]:
    """Give the statements of all traces by their text and their database."""
    found: dict[Shape, list[Statement]] = defaultdict(list)
    last: dict[tuple[int, object, Shape], Statement] = {}
    rows = case.select({DB}, lambda shape: "db.query.text" in shape.attributes, outermost=True)
    for trace, span in case.pairs(rows):
        told = span.attributes
        shape = (
            str(told["db.query.text"]), str(told.get("db.system.name", "")),
            told.get("server.address"), told.get("server.port"), told.get("db.namespace"),
        )  # fmt: skip
        key = trace.id, told.get("connection"), shape
        if told.get("part") != "fetch" or key not in last:
            last[key] = Statement(trace)
            found[shape].append(last[key])
        last[key].spans.append(span)
    return found
