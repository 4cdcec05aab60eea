"""What a sink is: the one method that takes a batch of records, and the errors that say what became of it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

Record = dict[str, object]


class RefusedError(Exception):
    """The sink will never take this batch."""


class TooLargeError(RefusedError):
    """The sink would take it in smaller pieces."""


class PartlyRefusedError(Exception):
    """The sink took the batch but for some of its records.

    `refused` gives, by its index in the batch, the reason why a record will never be taken; `retry` has the indexes
    of those that are to be sent again, `pause_s` seconds from now at the soonest. All the others were taken.
    """

    def __init__(self, refused: Mapping[int, str], retry: Sequence[int] = (), pause_s: float = 0.0) -> None:
        super().__init__(f"the sink did not take {len(refused) + len(retry)} records of the batch")
        self.refused, self.retry, self.pause_s = refused, retry, pause_s


class BusyError(Exception):
    """The sink asks for a pause of `pause_s` seconds."""

    def __init__(self, message: str, pause_s: float) -> None:
        super().__init__(message)
        self.pause_s = pause_s


class Sink(Protocol):
    """Takes a batch of encoded records, or raises: the errors above, or any other for "try again".

    A record is the UTF-8 text of one JSON object with `time` (unix seconds), `message` and the fields. One batch is on
    its way at a time, unless the sink has an attribute `takes_several_at_once` that is true: `send` may then be called
    by several threads.
    """

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """Hand the batch over, in at most about `timeout_s` seconds. `batch_id` is the same at each attempt."""

    def forget(self) -> None:
        """Drop what a forked child must not share with its parent."""


def new_batch_id() -> str:
    """An id that no other batch has."""
    return os.urandom(16).hex()
