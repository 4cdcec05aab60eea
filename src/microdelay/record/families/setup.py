"""Clients and TLS contexts being constructed: work of some 30 ms each time, on whichever thread asks for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from microdelay.record.events import cpu_now, now, state
from microdelay.record.measure import Details, hide, record
from microdelay.record.patches import Wrap, unnoticed
from microdelay.spans import SETUP

FLOOR_NS = 1_000_000
"""What is made in less is not worth keeping; the trust store alone is read in 10 ms and more."""


class _Making(threading.local):
    depth = 0
    tls_ns = 0  # of it: reading certificates


_making = _Making()


def constructing(name: str, reads_certificates: bool = False) -> Wrap:
    """Give a wrap that times what takes long to make; what it constructs for itself is part of it."""
    return lambda make: _timed(make, name, reads_certificates)


def _timed(make: Callable[..., Any], name: str, reads_certificates: bool) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not state.on:
            try:
                return make(*args, **kwargs)
            except BaseException as error:
                hide(error)
                raise
        making = _making
        outer = making.depth == 0
        making.depth += 1
        if outer:
            making.tls_ns = 0
        certificates_before = making.tls_ns
        cpu_start, start = cpu_now() if outer else -1, now()
        try:
            made = make(*args, **kwargs)
        except BaseException as error:
            hide(error)
            making.depth -= 1
            if outer and now() - start >= FLOOR_NS:
                record(SETUP, name, start, now(), (cpu_start, cpu_now()), _details(making.tls_ns), error)
            raise
        end = now()
        making.depth -= 1
        if reads_certificates:
            making.tls_ns = certificates_before + end - start
        if outer and end - start >= FLOOR_NS:
            record(SETUP, name, start, end, (cpu_start, cpu_now()), _details(making.tls_ns))
        return made

    return unnoticed(wrapper, make)


def _details(tls_ns: int) -> Details:
    return {"microdelay.tls_context": True} if tls_ns >= FLOOR_NS else {}
