"""The ways through the user's functions to each call: what many calls have in common."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from microdelay.spans import Place
from microdelay.traces.index import Ints, coded
from microdelay.traces.model import Recording

Key = tuple[str, str]


class Paths:
    """For each call the path that led to it: the calls around it up to the thread, by function and place.

    `of_call` numbers the path of each row of `recording.calls`; a path has a first call `example` and the path around
    it, `around` (-1: none). A circle of calls, which only damage makes, is cut.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        calls, lives = recording.calls, recording.lives
        owner = lives.index.rows(calls.activity)
        made_in = np.where(owner >= 0, lives.invocation[owner], 0) if len(lives.id) else np.zeros_like(calls.caller)
        up = calls.index.rows(np.where(calls.caller != 0, calls.caller, made_in))
        own = coded(
            calls.file.codes, calls.function.codes, calls.line, calls.site, (calls.caller != 0).astype(np.int64)
        )
        self.of_call: Ints = np.full(len(up), -1, np.int64)
        self.example: list[int] = []
        self.around: list[int] = []
        ready = np.flatnonzero(up < 0)
        waiting = np.flatnonzero(up >= 0)
        while len(ready) or len(waiting):
            if not len(ready):
                ready, waiting = waiting, waiting[:0]
            outer = np.where(up[ready] >= 0, self.of_call[up[ready]], -1)
            codes = coded(own[ready], outer)
            _, first = np.unique(codes, return_index=True)
            self.of_call[ready] = codes + len(self.example)
            self.example += ready[first].tolist()
            self.around += outer[first].tolist()
            is_ready = self.of_call[up[waiting]] >= 0
            ready, waiting = waiting[is_ready], waiting[~is_ready]

    def chain(self, path: int) -> list[int]:
        """Give the paths around one, itself first."""
        chain = []
        while path >= 0:
            chain.append(path)
            path = self.around[path]
        return chain

    @cached_property
    def keys(self) -> list[Key]:
        """File and function of each path's innermost call."""
        calls = self._recording.calls
        rows = np.array(self.example, dtype=np.int64)
        return list(zip(calls.file.at(rows), calls.function.at(rows), strict=True))

    def place_in(self, chain: list[int], index: int) -> int:
        """Give the place, as a number, in one call of a chain at which the next one in it was made, 0 in the innermost.

        What was handed to a task or thread stands for itself: one fan-out starts several things at one place.
        """
        if index == 0:
            return 0
        calls = self._recording.calls
        inner = self.example[chain[index - 1]]
        if calls.caller[inner]:
            return int(calls.site[inner])
        call = calls.row(inner)
        return self._recording.spans.table.places.code(Place(call.file, call.line, call.function))
