"""An HTTP client or a TLS context constructed for each call.

Reading the trusted certificates takes 10 to 60 ms of processor time, on the event loop too; and what a new client has
no connection to is connected to anew. One client that is kept does both once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from microdelay.diagnose import snippet
from microdelay.diagnose.case import Case
from microdelay.diagnose.connections import kept_client, opened_in, still_opened
from microdelay.diagnose.edits import Cost, Replace
from microdelay.diagnose.evidence import Key, Seen, by_place, folded, ms, times
from microdelay.diagnose.rule import Finding
from microdelay.spans import REQUESTS, SETUP, Place, Span
from microdelay.traces.model import Trace

NAME = "client-per-call"
SUMMARY = "an HTTP client or a TLS context constructed for each call"
REMEDY = "one client for all calls"
OVER = frozenset({"new-connection-per-call"})

MIN_TIMES = 3
"""At one place; a client for each of two services is no habit."""

WORST_SHARE = 0.2
"""Of them that are made after all: one a thread, one an event loop."""


def find(case: Case) -> Iterable[Finding]:
    """Give each place that constructs again and again, with the connections that this costs."""
    connected = _connected(case)
    opened = by_place([each for found in connected.values() for each in found])
    for (place, name), seen in by_place(case.spans_of(SETUP)).items():
        if len(seen) >= MIN_TIMES:
            yield _finding(case, place, name, seen, _requests(seen, connected, opened))


def _connected(case: Case) -> dict[int, list[tuple[Trace, Span]]]:
    """Give, for each invocation, the requests that opened a connection to a host that was connected to before."""
    found: dict[int, list[tuple[Trace, Span]]] = defaultdict(list)
    hosts: set[object] = set()
    if case.spans_of(SETUP):
        for trace, span in sorted(case.spans_of(*REQUESTS), key=lambda each: each[1].start_ns):
            if span.attributes.get("microdelay.connection") == "reused" or not opened_in(case, span):
                continue
            host = span.attributes.get("server.address"), span.attributes.get("server.port")
            if host in hosts:
                found[span.invocation].append((trace, span))
            hosts.add(host)
    return found


def _requests(seen: Seen, connected: dict[int, list[tuple[Trace, Span]]], opened: Mapping[Key, Seen]) -> Seen:
    """Give the requests that connect since what makes them is constructed each time.

    They are those of the calls in which it was seen, and all others that connect at the same places: constructing is
    recorded only where it takes a while.
    """
    found = [
        each
        for _, made in seen
        for each in connected.get(made.invocation, ())
        if made.invocation and (each[1].start_ns >= made.end_ns or each[1].end_ns >= made.end_ns)
    ]
    at = {(each.site, each.name) for _, each in found if each.site is not None}
    found += [each for key in at for each in opened.get(key, ())]
    return list({span.id: (trace, span) for trace, span in found}.values())


def _finding(case: Case, place: Place, name: str, seen: Seen, requests: Seen) -> Finding:
    opening = [(trace, step) for trace, request in requests for step in opened_in(case, request)]
    client = str(next((span.attributes.get("client") for _, span in requests), ""))
    edits = [Replace(span.activity, span.start_ns, span.end_ns, _cost(span)) for _, span in seen]
    edits += [Replace(step.activity, step.start_ns, step.end_ns, still_opened(step.duration_ns)) for _, step in opening]
    whole = sum(span.duration_ns for _, span in seen)
    reads = any(span.attributes.get("microdelay.tls_context") for _, span in seen)
    return folded(
        NAME,
        [*seen, *opening],
        where=place,
        what=f"{name} is constructed {times(seen, case)}, {ms(whole / len(seen))} each"
        + (", for the most part reading certificates" if reads else "")
        + (f", and its {len(requests)} requests connect anew" if requests else ""),
        remedy=REMEDY,
        edits=edits,
        snippet=_snippet(place, name, client),
    )


def _cost(span: Span) -> Cost:
    return Cost(0, 0, int(span.duration_ns * WORST_SHARE))


def _snippet(place: Place, name: str, client: str) -> str:
    call = snippet.quoted(place)
    if not call or name.rpartition(".")[2] not in call:  # constructed within a library's function: `httpx.get(url)`
        return kept_client(client, place)
    return f"# once, when the program starts, and kept for all calls:\nclient = {call}"


FIRES = {
    "a client for each call": """
        1 character = 10 ms
        trace |[one        ][two        ][three      ]
        main  | [make][get ] [make][get ] [make][get ]
        main  |       c            c            c
        make: setup httpx.Client
        get: GET https://shop/order  input=each client=httpx
        c: connect shop:443
    """,
    "an SSL context for each item of a loop": """
        1 character = 10 ms
        main  |[make][make][make][make]
        make: setup ssl.create_default_context  at 7
    """,
}

SILENT = {
    "one client, made when the first call needs it": """
        1 character = 10 ms
        trace |[one        ][two  ][three]
        main  | [make][get ] [get ] [get ]
        make: setup httpx.Client
        get: GET https://shop/order  input=each client=httpx
    """,
    "a client for each of several services": """
        1 character = 10 ms
        main  |[shop][crm ][mail]
        shop: setup httpx.Client
        crm: setup httpx.Client
        mail: setup httpx.Client
    """,
}
