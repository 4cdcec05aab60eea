"""What a program waits for an answer's body, told in few spans.

Chunks that are waited for one right after the other are one wait; what the program does between two chunks is its own
time. The last span of a body carries what is known of the whole.
"""

from __future__ import annotations

import sys
from collections import deque

from microdelay.record import activities, redact
from microdelay.record.calls import Site
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
    if isinstance(body, (bytes, bytearray)):
        details["http.response.body.size"] = len(body)
        details["answer"] = bytes(body[: redact.TOKEN_BYTES])
        if asked or "asked" in details:
            details["told"] = bytes(body if len(body) <= ASKED_BYTES else body[:KEPT_BYTES] + body[-KEPT_BYTES:])
        if len(body) > redact.TOKEN_BYTES:
            details["answer_fingerprint"] = redact.body(body)


class Body:
    """The body of one answer while the program reads it."""

    __slots__ = (
        "answered_ns", "begun_ns", "connection", "end", "first_ns", "head", "parts", "request", "size", "start",
        "tail", "tail_size", "touched", "waited_ns", "where", "whole",
    )  # fmt: skip

    def __init__(self, answered_ns: int, connection: Details = NO_DETAILS) -> None:
        self.request = NO_DETAILS
        """The facts of the request that it belongs to."""
        self.connection = connection
        """What is known of the connection that it comes over."""
        self.begun_ns = 0
        self.answered_ns = answered_ns
        self.first_ns = 0  # when the first chunk was there
        self.waited_ns = 0
        self.size = 0
        self.start = self.end = 0  # of the wait that is not written yet
        self.where: tuple[int, Site] | None = None
        self.parts = 0
        self.whole = False  # being read at once by a wrapper that gives the answer
        self.touched = False  # a piece of it has been read
        self.head: list[bytes] | None = None
        self.tail: deque[bytes] = deque()
        self.tail_size = 0

    def belongs_to(self, request: Details, begun_ns: int) -> None:
        """Begin to tell of it, as the body of the answer to `request`."""
        self.request = request
        self.begun_ns = begun_ns
        self.head = [] if "asked" in request else None

    def waited(self, start: int, end: int, chunk: bytes | None = None) -> None:
        """Count one wait for a chunk, as seen from a wrapper that the program's reading calls."""
        if not state.on:
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
        if self.head is None:
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
        details: Details = {"request": self.request, "part": "body"}
        if answer is not None and not self.touched:
            if not self.start:
                arrived(self.request, answer)
                if self.request.pop("open", None):
                    self.request = {}
                    return
            arrived(details, answer, "asked" in self.request)
        if not self.start:
            self.start = self.end = now()
        self.head = None
        self._write(details, error)

    def finish(self, error: str = "") -> None:
        """Write the rest: the body has been read piece by piece, or is given up."""
        head, self.head = self.head, None
        if not self.start and not head:
            return
        details: Details = {"request": self.request, "part": "body", "waited_ns": self.waited_ns}
        if self.first_ns:
            details["first_ns"] = self.first_ns - self.begun_ns
        if self.size:
            details["http.response.body.size"] = self.size
        if head:
            details["streamed"] = b"".join([*head, *self.tail])
            details["is_cut"] = self.tail_size > 0
            self.tail.clear()
            if not self.start:
                self.start = self.end = self.first_ns or now()
        self._write(details, error)

    def _write(self, details: Details, error: str = "") -> None:
        if self.start and state.on:
            activity, site = self.where or activities.waited(sys._getframe(3), self.start)
            record_at(HTTP, "", self.start, self.end, activity, site, details, error)
            self.parts += 1
        self.start = self.end = 0
        self.where = None
