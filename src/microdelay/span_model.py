"""Place and Span, the records that every stage after the recorder shares; known as `spans.Place` and `spans.Span`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """A place in source code: absolute `file`, `line` .. `end_line` (1-based), `column` .. `end_column` (0-based)."""

    file: str
    line: int
    function: str
    end_line: int = 0
    column: int = -1
    end_column: int = -1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Span:
    """One timed wait or piece of work, as it stands in a recording.

    `site` is the innermost place in the user's own code, `invocation` the call of the user's function that it stands
    in, `activity` the thread or task that ran it (ids within one recording; 0 is unknown). `input` and `output` are
    keyed fingerprints of what went in and came out (0 is unknown), `sent` and `received` those of the single values in
    them that came out of an answer before they went into a request (0 in `received`: its values were looked at).
    `cpu_ns` is the thread's processor time inside the span, `cpu_start_ns` its reading at the start (-1 where it was
    not read).
    """

    id: int
    kind: str
    name: str
    start_ns: int
    end_ns: int
    activity: int = 0
    invocation: int = 0
    site: Place | None = None
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    input: int = 0
    output: int = 0
    sent: frozenset[int] = frozenset()
    received: frozenset[int] = frozenset()
    cpu_start_ns: int = -1
    cpu_ns: int = -1
    error: str = ""

    @property
    def duration_ns(self) -> int:
        """How long it took."""
        return self.end_ns - self.start_ns
