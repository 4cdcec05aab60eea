"""What a program waits for an answer's body, told in few spans.

Chunks that are waited for one right after the other are one wait; what the program does between two chunks is its own
time. The last span of a body carries what is known of the whole.
"""

from __future__ import annotations

import sys
from collections import deque

from microdelay.record import activities, redact
from microdelay.record.calls import Site
from microdelay.record.describing.http import Items
from microdelay.record.events import now, state
from microdelay.record.measure import NO_DETAILS, Details, record_at
from microdelay.record.trouble import stand_aside
from microdelay.spans import HTTP

FLOOR_NS = 100_000
"""What has arrived already is copied in less."""

GAP_NS = 250_000
GAP_SHARE = 20
"""Work between two chunks that is not worth a span of its own: so much, or a twentieth of the wait so far."""

LONGEST_NS = 500_000_000
"""Of one span: what a killed program loses of a long stream is bounded."""

MAX_PARTS = 1000
"""Spans of one body that are told apart at every pause of the stream; later ones only at `LONGEST_NS`."""

KEPT_BYTES = 8 * 1024
"""Of each end of what a language model answers chunk by chunk: there stand its name and the number of tokens."""


ASKED_BYTES = 64 * 1024
"""Of what a language model is asked, kept until it is written: the writer looks for the model's name in it."""


def arrived(details: Details, body: object, asked: bool = False) -> None:
    """Add the whole of the answer's body."""
    if not isinstance(body, (bytes, bytearray)):
        return
    size = details["http.response.body.size"] = len(body)
    if size > redact.TOKEN_BYTES:
        details["answer"] = bytes(body[: redact.TOKEN_BYTES])
        details["answer_fingerprint"] = redact.body(body)
    else:
        details["answer"] = bytes(body)
    if asked or "asked" in details:
        details["told"] = bytes(body if size <= ASKED_BYTES else body[:KEPT_BYTES] + body[-KEPT_BYTES:])


class Body:
    """The body of one answer while the program reads it."""

    # Most bodies come with the headers, and need no more than this: what is not set is of the class.
    begun_ns = 0  # of the request; without one there is nothing to tell
    first_ns = 0  # when the first chunk was there
    waited_ns = 0
    size = 0
    start = end = 0  # of the wait that is not written yet
    where: tuple[int, Site] | None = None
    parts = 0
    whole = False  # being read at once by a wrapper that gives the answer
    touched = False  # a piece of it has been read
    asks = False  # a language model
    head: list[bytes] | None = None
    tail: deque[bytes] | None = None
    tail_size = 0
    request: Details = NO_DETAILS
    """The facts of the request that it belongs to."""

    def __init__(self, answered_ns: int, connection: Items = ()) -> None:
        self.connection = connection
        """What is known of the connection that it comes over."""
        self.answered_ns = answered_ns

    def belongs_to(self, request: Details, begun_ns: int) -> None:
        """Begin to tell of it, as the body of the answer to `request`."""
        self.request = request
        self.begun_ns = begun_ns
        if "asked" in request:
            self.asks, self.head, self.tail = True, [], deque()

    def waited(self, start: int, end: int, chunk: bytes | None = None) -> None:
        """Count one wait for a chunk, as seen from a wrapper that the program's reading calls."""
        if not state.on or not self.begun_ns:
            return
        self.waited_ns += end - start
        if not self.first_ns:
            self.first_ns = end
        if chunk is not None:
            self.keep(chunk)
        if end - start < FLOOR_NS:
            return
        begun = self.start
        if begun:
            gap = start - self.end
            small = gap <= GAP_NS or gap * GAP_SHARE <= self.end - begun or self.parts >= MAX_PARTS
            if small and end - begun <= LONGEST_NS:
                self.end = end
                return
            self._write({"request": self.request, "part": "body"})
        try:
            self.where = activities.waited(sys._getframe(2), start)
            self.start, self.end = start, end
        except Exception as problem:
            stand_aside("http body", problem)

    def keep(self, chunk: bytes) -> None:
        """Keep the ends of what a language model answers."""
        self.size += len(chunk)
        if self.head is None or self.tail is None:
            return
        if self.size <= KEPT_BYTES:
            self.head.append(chunk)
            return
        self.tail.append(chunk)
        self.tail_size += len(chunk)
        while self.tail_size - len(self.tail[0]) >= KEPT_BYTES:
            self.tail_size -= len(self.tail.popleft())

    def given(self, answer: object, error: str = "") -> None:
        """Write it with the answer that was read at once; what came with the headers is no wait of its own."""
        if not self.begun_ns:
            return
        request = self.request
        whole = answer is not None and not self.touched
        if whole and not self.start:
            arrived(request, answer, self.asks)
            if request.pop("open", None):
                self._let_go()
                return
        details: Details = {"request": request, "part": "body"}
        if whole:
            arrived(details, answer, self.asks)
        if not self.start:
            self.start = self.end = now()
        self._write(details, error)
        self._let_go()

    def finish(self, error: str = "") -> None:
        """Write the rest: the body has been read piece by piece, or is given up."""
        head, tail = self.head, self.tail
        streamed = b"".join([*head, *tail]) if head is not None and tail is not None else b""
        if not self.begun_ns or not (self.start or streamed):
            return
        details: Details = {"request": self.request, "part": "body", "waited_ns": self.waited_ns}
        if self.first_ns:
            details["first_ns"] = self.first_ns - self.begun_ns
        if self.size:
            details["http.response.body.size"] = self.size
        if streamed:
            details["streamed"] = streamed
            details["is_cut"] = self.tail_size > 0
        if not self.start:
            self.start = self.end = self.first_ns or now()
        self._write(details, error)
        self._let_go()

    def _let_go(self) -> None:
        """Forget what was sent: an answer, or the connection that it came over, may be kept for long."""
        self.request, self.begun_ns = NO_DETAILS, 0
        self.head = self.tail = None

    def _write(self, details: Details, error: str = "") -> None:
        if self.start and state.on:
            activity, site = self.where or activities.waited(sys._getframe(3), self.start)
            record_at(HTTP, "", self.start, self.end, activity, site, details, error)
            self.parts += 1
        self.start = self.end = 0
        self.where = None
