"""Reads a recording (`.mdr`) to its end or to the place where it is cut; its layout is in `record/layout.py`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from microdelay.errors import RecordingError
from microdelay.traces.build import build
from microdelay.traces.chunks import Chunks, load
from microdelay.traces.contents import Contents
from microdelay.traces.doubles import without_doubles
from microdelay.traces.model import Recording

Progress = Callable[[int, int], None]


def read(path: str | os.PathLike[str], progress: Progress | None = None) -> Recording:
    """Read a recording; `progress(bytes_read, bytes_in_all)` is called along the way.

    A cut or damaged end is left out and said in `warnings`. Raises RecordingError if the file cannot be read, is no
    recording, is of a newer version or holds nothing.
    """
    name = os.fspath(path)
    chunks = Chunks(name, load(name))
    contents = _read(chunks, progress)
    processes = contents.processes
    if not processes.first.meta:
        raise RecordingError(f"recording is cut short before its first chunk, nothing can be used: {name}")
    if not processes.has_end and not chunks.warnings:
        chunks.cut("has no end")
    try:
        made = without_doubles(build(contents))
    except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as error:
        raise RecordingError(f"recording does not fit together ({error}), record again: {name}") from error
    if not made.spans and not made.steps and not made.samples:
        raise RecordingError(f"recording is empty, {_why_empty(made.done)}: {name}")
    return replace(
        made, warnings=(*chunks.warnings, *_warnings(made.done), *made.warnings), sources=contents.sources, path=name
    )


def _read(chunks: Chunks, progress: Progress | None) -> Contents:
    contents = Contents(chunks.name)
    try:
        for tag, payload in chunks:
            contents.take(tag, payload)
            if progress is not None:
                progress(chunks.offset, chunks.size)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise RecordingError(f"recording does not fit together ({error}), record again: {chunks.name}") from error
    return contents


def _why_empty(done: Mapping[str, Any]) -> str:
    if failure := done.get("failure"):
        return f"it could not be written to ({failure})"
    ended = "" if done else ", or was killed in its first second"
    return f"the program waited for nothing that a probe knows{ended}"


def _warnings(done: Mapping[str, Any]) -> Iterator[str]:
    sampling = done.get("sampling", {})
    if sampling.get("seen"):
        kept = sampling["sampled"] + sampling["slow"]
        slow = f"{sampling['slow']:,} of them as the slowest so far"
        yield f"sampled: {kept:,} of {sampling['seen']:,} traces are here, {slow}"
    elif sampling:
        yield "--sample had no trace to choose from, so everything was kept: name the unit of work by --trace-root"
    if limit := done.get("full"):
        yield f"the recording stopped at its size limit of {limit:,} bytes; see --max-size and --max-age"
    for library in done.get("patched_by", ()):
        yield (
            f"{library} has patched threads, sockets and locks: its greenlets are not followed, what waits in one of "
            "them may count as another's, and no account or prediction can be relied on"
        )
    if failure := done.get("failure"):
        yield f"the recording stopped before the program did, it could not be written to: {failure}"
    if dropped := done.get("dropped"):
        yield f"{dropped:,} events were dropped: the program made them faster than they could be written"
    if unwritten := done.get("unwritten"):
        events = f"{unwritten:,} event{'s' * (unwritten > 1)}"
        yield f"{events} of the last moment missing: the program ended before more could be written"
    for where, count in done.get("troubles", {}).items():
        yield f"the recorder stood aside {count:,} times at: {where}"
