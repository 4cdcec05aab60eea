"""A statement that takes far longer than others of the same database and gives few rows.

Much time for few rows is most often a search through a whole table: an index on what is asked for turns it into a look.
What others take shows how far the database is away, so that a slow network is not taken for a slow query.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import UNKNOWN, Verdict
from microdelay.diagnose.edits import NOTHING, Cost, Replace
from microdelay.diagnose.evidence import folded, ms, times
from microdelay.diagnose.places import costliest
from microdelay.diagnose.rule import Finding
from microdelay.diagnose.statements import Statement, Text, statements, taken
from microdelay.spans import CONNECT

NAME = "slow-query"
SUMMARY = "a statement that takes far longer than others of the same database and gives few rows"
REMEDY = "an index on what it asks for"

MIN_QUERY_NS = 10_000_000
"""Of a statement, its rows fetched: a look into an index takes 0.1 to 1 ms, a table of 100,000 rows 10 ms to read."""

MIN_TIMES_OTHERS = 8
"""As long as the quickest other statement of the database, which tells how far away it is."""

MIN_ALONE_NS = 100_000_000
"""Of a statement of a database with no other statement in the recording: no network within a continent takes that."""

NEAR_NS = 1_000_000
"""What another statement may take of a database in the process or on the same machine, where none was recorded."""

MAX_ROWS = 100
"""That it gives; of more, the rows may be what takes the time."""

MIN_STEADY_SHARE = 0.3
"""Of its median that a statement takes at the quickest; one that is sometimes quick waits for something else."""

_SEARCHES = re.compile(r"^(SELECT|WITH|UPDATE|DELETE)\b.*\bWHERE\b", re.IGNORECASE | re.DOTALL)
_COMPUTES = re.compile(r"\b(GROUP BY|DISTINCT|STDDEV|OVER)\b", re.IGNORECASE)
_SLEEPS = re.compile(r"\bpg_sleep|\bSLEEP\(|\bWAITFOR\b|\bFOR UPDATE\b", re.IGNORECASE)
_TABLE = re.compile(r"\b(?:FROM|UPDATE)\s+([\w.\"]+)", re.IGNORECASE)
_COLUMN = re.compile(
    r"([A-Za-z_][\w.\"]*)\s*(?:=|<=|>=|<|>|\bLIKE\b|\bIN\b|\bBETWEEN\b)\s*\(?\s*(?:\?|%s|%\(\w+\)s|\$\d+|:\w+)",
    re.IGNORECASE,
)


def find(case: Case) -> Iterable[Finding]:
    """Give each such statement, folded over the places that send it."""
    usual = taken(case)
    slow = {shape for shape in usual if usual[shape] >= MIN_QUERY_NS / 2 and _is_search(shape[0])}
    known = statements(case, slow) if slow else {}
    quickest = usual | {shape: median(each.taken_ns for each in made) for shape, made in known.items()}
    for shape, made in known.items():
        if quickest[shape] < MIN_QUERY_NS:
            continue
        others, is_known = _others(case, shape, quickest)
        least = MIN_TIMES_OTHERS * others if others else MIN_ALONE_NS
        if quickest[shape] >= least and median(each.rows for each in made) <= MAX_ROWS:
            finding = _finding(case, shape, made, others, is_known)
            if finding is not None:
                yield finding


def _is_search(text: str) -> bool:
    return bool(_SEARCHES.search(text)) and not _SLEEPS.search(text)


def _others(case: Case, shape: Text, quickest: Mapping[Text, float]) -> tuple[float, bool]:
    """Give what the quickest other statement of a database takes, or connecting to it, and whether that was recorded.

    0 where nothing is known; of a database that is near, what one takes there.
    """
    same = [length for other, length in quickest.items() if other[1:] == shape[1:] and other != shape]
    if not same:
        same = [
            span.duration_ns
            for _, span in case.spans_of(CONNECT)
            if shape[2] and span.attributes.get("server.address") == shape[2]
        ]
    is_near = shape[1] == "sqlite" or shape[2] in ("localhost", "127.0.0.1", "::1")
    return min(same, default=NEAR_NS if is_near else 0), bool(same)


def _finding(case: Case, shape: Text, made: Sequence[Statement], others: float, is_known: bool) -> Finding | None:
    seen = [(each.trace, span) for each in made for span in each.spans]
    asked = [(each.trace, each.spans[0]) for each in made]
    where = costliest(span for _, span in asked)
    if where is None:
        return None
    rows = median(each.rows for each in made)
    each_ns = median(each.taken_ns for each in made)
    gives = f", {rows:.0f} rows" if rows >= 0 else ""
    compared = f"; the quickest other statement takes {ms(others)}" if is_known else ""
    return folded(
        NAME,
        seen,
        where=where,
        what=f"{asked[0][1].name} takes {ms(each_ns)}{gives}, {times(asked, case)}{compared}",
        remedy=REMEDY,
        edits=[edit for each in made for edit in _edits(each, int(others))],
        snippet=_snippet(shape[0]),
        dependence=_doubt(shape[0], made, is_known or not others),
    )


def _edits(statement: Statement, others: int) -> list[Replace]:
    """Replace the whole by what another statement takes: in the piece that took longest, the rest by nothing."""
    longest = max(statement.spans, key=lambda span: span.duration_ns)
    cost = Cost(others, others, max(others, statement.taken_ns // 2))
    return [
        Replace(span.activity, span.start_ns, span.end_ns, cost if span is longest else NOTHING)
        for span in statement.spans
    ]


def _doubt(text: str, made: Sequence[Statement], is_compared: bool) -> Verdict | None:
    """Say what else may be the reason, if something may."""
    lengths = [each.taken_ns for each in made]
    if _COMPUTES.search(text):
        return Verdict(UNKNOWN, ("it computes something of all rows that it finds: an index may not spare that",))
    if min(lengths) < MIN_STEADY_SHARE * median(lengths):
        return Verdict(
            UNKNOWN, (f"it sometimes takes {ms(min(lengths))} only: it may wait for a lock, or for the disk",)
        )
    if not is_compared:
        why = f"no other statement of this database was recorded: {ms(NEAR_NS)} is what one may take this near"
        return Verdict(UNKNOWN, (why,))
    return None


def _snippet(text: str) -> str:
    table = _TABLE.search(text)
    where = re.split(r"\bWHERE\b", text, maxsplit=1, flags=re.IGNORECASE)[-1]
    columns = list(dict.fromkeys(each[1].rpartition(".")[2].strip('"') for each in _COLUMN.finditer(where)))
    lines = [f"# {text[:200]}"]
    if table and columns:
        name = table[1].strip('"')
        lines.append(f"# CREATE INDEX {name}_{'_'.join(columns[:3])} ON {name} ({', '.join(columns[:3])})")
    lines.append("# EXPLAIN of it says whether the database then uses it")
    return "\n".join(lines)


FIRES = {
    "one row is searched for in all of a table": """
        1 character = 1 ms
        trace |[one                   ][two                   ]
        main  | [search            ]gg [search            ]gg
        search: sql SELECT id FROM orders WHERE customer = ?  rows=1 input=each
        g: sql SELECT total FROM orders WHERE id = ?  input=each
    """,
    "the rows are searched for while they are fetched": """
        1 character = 100 us
        main  |s[search                                                                                             ]gg
        s: sql SELECT id FROM orders WHERE customer = ?
        search: fetch SELECT id FROM orders WHERE customer = ?  rows=1
        g: sql SELECT total FROM orders WHERE id = ?  input=each
    """,
}

SILENT = {
    "a database that is far away: all statements take as long": """
        1 character = 1 ms
        main  |[search          ][get              ]
        search: sql SELECT id FROM orders WHERE customer = ?  rows=1
        get: sql SELECT total FROM orders WHERE id = ?  rows=1
    """,
    "many rows are what takes the time": """
        1 character = 1 ms
        main  |[search          ]g
        search: sql SELECT id FROM orders WHERE customer = ?  rows=50000
        g: sql SELECT total FROM orders WHERE id = ?  rows=1
    """,
    "nothing to compare it with, and not slow in itself": """
        1 character = 1 ms
        main  |[search          ]
        search: sql SELECT id FROM orders WHERE customer = ?  rows=1 system=postgresql
    """,
    "a statement that sleeps": """
        1 character = 1 ms
        main  |[search          ]g
        search: sql SELECT pg_sleep(?) FROM orders WHERE id = ?  rows=1
        g: sql SELECT total FROM orders WHERE id = ?  rows=1
    """,
}
