"""SQL statements as wholes: sent, and their rows fetched."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from microdelay.diagnose.case import Case
from microdelay.spans import DB, Span
from microdelay.traces.columns import Shape
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


Text = tuple[str, str, object, object, object]
"""Text, system, host, port and database."""


def taken(case: Case) -> dict[Text, float]:
    """Give what each statement takes with its rows, on average, in nanoseconds; no object of any span is made."""
    rows = case.select({DB}, _is_statement, outermost=True)
    codes, texts = rows.spans.coded(lambda shape: (_text(shape.attributes), shape.attributes.get("part") == "fetch"))
    lengths = np.bincount(codes, rows.spans.duration_ns, len(texts))
    counts = np.bincount(codes, minlength=len(texts))
    summed: dict[Text, float] = defaultdict(float)
    times: dict[Text, int] = defaultdict(int)
    for (text, is_fetch), length, count in zip(texts, lengths.tolist(), counts.tolist(), strict=True):
        summed[text] += length
        times[text] += 0 if is_fetch else count
    return {text: length / max(1, times[text]) for text, length in summed.items()}


def statements(case: Case, wanted: Collection[Text]) -> Mapping[Text, Sequence[Statement]]:
    """Give some statements of all traces, by their text and their database."""
    found: dict[Text, list[Statement]] = defaultdict(list)
    last: dict[tuple[int, object, Text], Statement] = {}
    rows = case.select({DB}, lambda shape: _is_statement(shape) and _text(shape.attributes) in wanted, outermost=True)
    for trace, span in case.pairs(rows):
        text = _text(span.attributes)
        key = trace.id, span.attributes.get("connection"), text
        if span.attributes.get("part") != "fetch" or key not in last:
            last[key] = Statement(trace)
            found[text].append(last[key])
        last[key].spans.append(span)
    return found


def _is_statement(shape: Shape) -> bool:
    return "db.query.text" in shape.attributes


def _text(told: Mapping[str, object]) -> Text:
    return (
        str(told["db.query.text"]), str(told.get("db.system.name", "")),
        told.get("server.address"), told.get("server.port"), told.get("db.namespace"),
    )  # fmt: skip
