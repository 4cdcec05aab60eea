"""A large answer fetched of which the program uses little or nothing, or that is sent without compression.

What is used is read from the source: the status alone (`.status_code`, `.ok`), the number of rows (`len(…)`), or the
first of them. The rest was made by the service, sent, received and decoded for nothing. What compression would leave
is measured on an answer's beginning, or taken from its type; it shortens only the wait for the body, and costs time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from statistics import mean

import numpy as np

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import UNKNOWN, Verdict
from microdelay.diagnose.dataflow.source import module
from microdelay.diagnose.dependence import followed
from microdelay.diagnose.edits import NOTHING, Cost, Replace
from microdelay.diagnose.evidence import Seen, by_place, folded, times
from microdelay.diagnose.rule import Finding
from microdelay.diagnose.uses import Path, uses
from microdelay.spans import CODEC, DB, HTTP, Place, Span
from microdelay.traces.columns import Shape
from microdelay.traces.model import Trace

NAME = "oversized-payload"
SUMMARY = "a large answer fetched of which the program uses little, or that is sent without compression"
REMEDY = "asking for what is used only"

MIN_BYTES = 100_000
"""Of an answer's body: at 1 Gbit/s it takes 1 ms to arrive, in JSON 1-2 ms to decode. Sentry warns from 300 kB on."""

MIN_ROWS = 100
"""That a statement gives, of which one or none is looked at."""

BEST_SHARE = 0.2
"""Of a request's time until the headers that a small answer may take: the service makes less, too."""

TEXT = re.compile(r"text/|application/(json|javascript|xml|x-ndjson|.*\+(json|xml))$|image/svg\+xml$")
"""Media types that gzip makes small; others are compressed already (mime-db marks the same as `compressible`)."""

TEXT_SHARE = 0.25
"""Of a text's bytes that are left by gzip, where no beginning of it was kept: rows of JSON leave 0.22 to 0.25."""

WORST_LEFT = 0.7
"""Of an answer's beginning that gzip leaves, from which on compressing it is not worth the processor's time."""

GZIP_BYTES_NS = 1 / (1 / 0.15 + 1 / 0.28)
"""Bytes a nanosecond that are compressed and decompressed again: rows of JSON by zlib at level 1, nginx's default,
measured: 150 and 280 MB/s."""

_LIGHT = frozenset({
    ".status_code", ".status", ".ok", ".headers", ".raise_for_status()", ".url", ".elapsed", ".reason", ".close()",
    ".is_success", ".is_error", ".history", ".cookies", ".reason_phrase", ".http_version",
})  # fmt: skip
"""What of an answer needs no body."""


_MUCH = re.compile(r"s$|data|content|body|text|html|list|embedding|payload|blob|message|answer|response|page", re.I)
"""Names of keys that may hold most of an answer."""


def find(case: Case) -> Iterable[Finding]:
    """Give each place that fetches much and uses little, as far as its source is known."""
    large = [
        (trace, span)
        for trace, span in case.pairs(case.select({HTTP}, _is_large, outermost=True))
        if span.attributes.get("http.request.method") == "GET"
    ]
    unused: set[Place] = set()
    for (place, _), seen in by_place(large).items():
        used = _used(place)
        if used is not None and (reason := _of_body(used)):
            unused.add(place)
            yield _finding(case, place, seen, reason)
    for (place, _), seen in by_place(_waited_for(case)).items():
        if place not in unused:
            yield _of_plain_text(case, place, seen)
    many = case.pairs(case.select({DB}, _has_many_rows, outermost=True))
    for (place, _), seen in by_place(many).items():
        used = _used(place)
        if used is not None and (reason := _of_rows(used)):
            yield _of_statement(case, place, seen, reason)


def _is_large(shape: Shape) -> bool:
    size = shape.attributes.get("http.response.body.size")
    return isinstance(size, int) and size >= MIN_BYTES


def _has_many_rows(shape: Shape) -> bool:
    rows = shape.attributes.get("db.response.returned_rows")
    return isinstance(rows, int) and rows >= MIN_ROWS


def _used(place: Place) -> set[Path] | None:
    """Give what is used of the value at a place, None where the source does not tell."""
    found: list[set[Path]] = []

    def judge() -> Verdict:
        parsed = module(place.file)
        node = parsed.expression(place) if parsed else None
        if parsed is not None and node is not None:
            found.append(uses(parsed, node))
        return Verdict(UNKNOWN, ())

    followed(place, judge)
    return found[0] if found else None


def _of_body(used: set[Path]) -> str:
    """Say what little is used of an answer, "" where it is all, or not known."""
    kept = [path for path in used if path and path[0] not in _LIGHT]
    if not kept:
        light = sorted({path[0] for path in used if path})
        return f"only {', '.join(light)} of it is used" if light else "nothing of it is used"
    if any(path[0] != ".json()" or len(path) < 2 for path in kept if path != (".json()",)):
        return ""
    parts = [path for path in kept if path != (".json()",)]
    if parts and all(path[-1] in ("len", "?") or _is_small(path) or _is_one(path) for path in parts):
        return f"only {', '.join(sorted({''.join(_shown(path)) for path in parts}))} of it is used"
    return ""


def _is_small(path: Path) -> bool:
    """Tell whether a path ends at one item of a list, and takes a part of that."""
    return any(step.startswith("[") and step[1:-1].lstrip("-").isdigit() for step in path)


def _is_one(path: Path) -> bool:
    """Tell whether a path ends at a key that by its name is one thing, not a list nor all of a text."""
    key = path[1][1:-1].strip("'\"")
    return path[1].startswith("[") and not key.isdigit() and not _MUCH.search(key)


def _shown(path: Path) -> Iterable[str]:
    steps = [step for step in path if step not in ("*", "?")]
    return (f"len({''.join(steps[:-1])})",) if steps and steps[-1] == "len" else steps


def _of_rows(used: set[Path]) -> str:
    rows = [path for path in used if path and path not in ((".fetchall()",), (".all()",))]
    if rows and all(path[-1] in ("len", "?") or _is_small(path) for path in rows):
        return f"only {', '.join(sorted({''.join(_shown(path)) for path in rows}))} of them is used"
    return ""


def _finding(case: Case, place: Place, seen: Seen, reason: str) -> Finding:
    size = mean(int(span.attributes["http.response.body.size"]) for _, span in seen)
    bodies = [(trace, part) for trace, span in seen for part in case.bodies.get(span.id, ())]
    decoded = [(trace, codec) for trace, span in seen for codec in _decoding(case, trace, span)]
    whole = seen[0][1].attributes.get("part") is None
    return folded(
        NAME,
        [*seen, *bodies, *decoded],
        where=place,
        what=f"{seen[0][1].name} gives {size / 1e6:.1f} MB, {times(seen, case)}; {reason}",
        remedy="HEAD, or an endpoint that says only that" if "json" not in reason else REMEDY,
        edits=[_replaced(span, _cost(span) if whole else NOTHING) for _, span in seen]
        + [_replaced(span, NOTHING) for _, span in (*bodies, *decoded)],
        snippet="# what the service offers: HEAD, ?fields=…, ?limit=1, a count of its own\n"
        'response = session.get(url, params={"fields": "id", "limit": 1})',
        dependence=Verdict(UNKNOWN, ("whether the service can answer with less is not in the recording",)),
    )


def _decoding(case: Case, trace: Trace, request: Span) -> Sequence[Span]:
    """Give the decoding of an answer: the first that begins after it in its activity."""
    lane = case.recording.within(request.activity, request.end_ns, trace.end_ns)
    size = int(request.attributes["http.response.body.size"])
    for span in lane:
        if span.kind == CODEC and abs(int(span.attributes.get("size", 0)) - size) <= size // 4:
            return [span]
        if span.kind == HTTP and span.attributes.get("part") is None:
            break
    return []


def _waited_for(case: Case) -> Iterable[tuple[Trace, Span]]:
    """Give requests whose answers are large plain text, and whose bodies were waited for."""
    text = case.recording.spans.where(_is_plain_text, case.recording.spans.of_kinds({HTTP}))
    groups = case.body_rows
    requests = np.array([row for row in groups if text[row] or text[groups.get(row)].any()], np.int64)
    return case.pairs(case.all_requests.take(np.isin(case.all_requests.row, requests)))


def _is_plain_text(shape: Shape) -> bool:
    told = shape.attributes
    share, kind = told.get("microdelay.compressed_share"), str(told.get("http.response.header.content-type", ""))
    if told.get("http.response.header.content-encoding") != "identity" or not _is_large(shape):
        return False
    return bool(TEXT.match(kind)) if share is None else float(share) <= WORST_LEFT


def _of_plain_text(case: Case, place: Place, seen: Seen) -> Finding:
    parts = [(trace, part) for trace, span in seen for part in case.bodies[span.id]]
    told = next(span.attributes for _, span in (*seen, *parts) if _is_plain_text(_shape(span)))
    size = int(told["http.response.body.size"])
    share = float(told.get("microdelay.compressed_share", TEXT_SHARE))
    accepts = bool(told.get("microdelay.accepts_gzip"))
    how = "measured on its beginning" if "microdelay.compressed_share" in told else "as text usually is"
    return folded(
        NAME,
        parts,
        where=place,
        what=f"{seen[0][1].name} gives {size / 1e6:.1f} MB of text without compression, {times(seen, case)}; "
        f"gzip leaves {100 * share:.0f} % of it, {how}",
        remedy="compression at the service" if accepts else "Accept-Encoding: gzip",
        edits=[
            _replaced(part, _compressed(part, share, size / len(case.bodies[span.id])))
            for _, span in seen
            for part in case.bodies[span.id]
        ],
        snippet="# the client accepts it: let the service, or the proxy before it, send it\n# nginx: gzip on; "
        "gzip_types application/json; Starlette: add_middleware(GZipMiddleware, minimum_size=1000)"
        if accepts
        else 'request.headers["Accept-Encoding"] = "gzip"  # and gzip.decompress(body), where the client does not',
        dependence=Verdict(UNKNOWN, ("whether the service compresses where it is asked to is not in the recording",)),
    )


def _shape(span: Span) -> Shape:
    return Shape(span.kind, span.name, span.attributes, span.error)


def _compressed(part: Span, share: float, size: float) -> Cost:
    """Give what is left of the wait for a part of a body: at worst, the network was not what it waited for."""
    left = share * part.duration_ns
    return Cost(int(left), min(part.duration_ns, int(left + size / GZIP_BYTES_NS)), part.duration_ns)


def _of_statement(case: Case, place: Place, seen: Seen, reason: str) -> Finding:
    rows = mean(int(span.attributes["db.response.returned_rows"]) for _, span in seen)
    counts = "len" in reason
    return folded(
        NAME,
        seen,
        where=place,
        what=f"{seen[0][1].name} gives {rows:,.0f} rows, {times(seen, case)}; {reason}",
        remedy="SELECT COUNT(*)" if counts else "LIMIT",
        edits=[_replaced(span, Cost(0, span.duration_ns // 5, span.duration_ns)) for _, span in seen],
        snippet=f"# {str(seen[0][1].attributes.get('db.query.text', ''))[:200]}\n"
        + ("# as SELECT COUNT(*) FROM … WHERE …" if counts else "# … LIMIT 1"),
        dependence=Verdict(UNKNOWN, ("what the database takes to find them is not in the recording",)),
    )


def _cost(span: Span) -> Cost:
    return Cost(int(BEST_SHARE * span.duration_ns), span.duration_ns, span.duration_ns)


def _replaced(span: Span, cost: Cost) -> Replace:
    return Replace(span.activity, span.start_ns, span.end_ns, cost)


FIRES = {
    "a list is fetched to see whether the service answers": """
        1 character = 1 ms
        main  |[get       ]
        get: GET http://shop/orders  at 2 size=1500000
---
def work(session):
    return session.get("http://shop/orders").status_code
    """,
    "rows are fetched to be counted": """
        1 character = 1 ms
        main  |s[rows      ]
        s: sql SELECT id FROM orders WHERE customer = ?  at 2
        rows: fetch SELECT id FROM orders WHERE customer = ?  at 3 rows=20000
---
def work(cursor):
    cursor.execute("SELECT id FROM orders WHERE customer = ?", (7,))
    rows = cursor.fetchall()
    return len(rows)
    """,
}

SILENT = {
    "all of it is used": """
        1 character = 1 ms
        main  |[get       ]
        get: GET http://shop/orders  at 2 size=1500000
---
def work(session):
    return session.get("http://shop/orders").json()
    """,
    "a small answer": """
        1 character = 1 ms
        main  |[get       ]
        get: GET http://shop/orders  at 2 size=1500
---
def work(session):
    return session.get("http://shop/orders").status_code
    """,
    "what is used cannot be read from the source": """
        1 character = 1 ms
        main  |[get       ]
        get: GET http://shop/orders  at 2 size=1500000
    """,
}
