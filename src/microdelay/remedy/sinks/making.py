"""The sink for what a user names: an URL, a function, or a sink."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import iscoroutinefunction
from typing import TypeGuard

from microdelay.errors import RemedyError
from microdelay.remedy.sinks.function import FunctionSink
from microdelay.remedy.sinks.http import HttpSink
from microdelay.remedy.sinks.sink import Record, Sink

SinkLike = str | Callable[[list[Record]], object] | Sink
"""What may be given for a sink: an http:// or https:// URL, a function that takes a list of dicts, or a sink."""


def make_sink(sink: object, headers: Mapping[str, str] | None) -> Sink:
    """The sink for a URL, a function or a sink. Raises `RemedyError` for anything else."""
    if isinstance(sink, str):
        return HttpSink(sink, headers=headers)
    if headers:
        raise RemedyError("headers= goes with a sink that is a URL")
    if is_sink(sink):
        return sink
    if not callable(sink) or iscoroutinefunction(sink):
        raise RemedyError(f"the sink must be an http:// or https:// URL, a plain function or a sink, not {sink!r}")
    return FunctionSink(sink)


def is_sink(sink: object) -> TypeGuard[Sink]:
    """Whether it has the methods of a `Sink`."""
    return (
        not isinstance(sink, type) and callable(getattr(sink, "send", None)) and callable(getattr(sink, "forget", None))
    )
