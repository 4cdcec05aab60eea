"""A sink that is a function of the user's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from microdelay.remedy.sinks.records import decode
from microdelay.remedy.sinks.sink import Record


class FunctionSink:
    """A function that takes a list of records."""

    takes_several_at_once = True

    def __init__(self, function: Callable[[list[Record]], object]) -> None:
        self._function = function

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """Call the function; its time is its own."""
        self._function([decode(record) for record in batch])

    def forget(self) -> None:
        """Nothing is kept."""
