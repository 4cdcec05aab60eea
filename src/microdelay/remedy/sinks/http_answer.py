"""What an HTTP service's answer says about a batch."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from microdelay.remedy.sinks.sink import BusyError, RefusedError, TooLargeError

MAX_RETRY_AFTER_S: Final = 600.0
"""A service that asks for a longer pause is asked again after this one, s: a wrong header must not stop the log."""

SHOWN_CHARACTERS: Final = 200
"""Of what a service says about a refusal, this much is kept: the start has the reason."""

NOT_ABOUT_THE_RECORDS: Final = frozenset({401, 402, 403, 404, 405, 407})
"""Answers to the one who asks or to where: a key that ran out, a proxy, a service that is being moved. Other records
would be answered the same, so that these are an outage, in which the records wait; so are redirections."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; of its body, what was read."""

    status: int
    reason: str
    retry_after: str | None
    body: bytes

    def __str__(self) -> str:
        said = " ".join(self.body.decode("utf-8", "replace").split())[:SHOWN_CHARACTERS]
        return f"the sink answered {self.status} {self.reason}" + (f": {said}" if said else "")


def is_busy(status: int) -> bool:
    """Whether most services mean "try again" by it (RFC 9110, RFC 6585)."""
    return status in (408, 425, 429) or status >= 500


def judge(answer: Answer, busy: Callable[[int], bool] = is_busy) -> None:
    """Return if the batch was taken. Raises `BusyError`, `TooLargeError` or `RefusedError` otherwise."""
    if 200 <= answer.status < 300:
        return
    if answer.status == 413:
        raise TooLargeError(str(answer))
    if busy(answer.status) or answer.status in NOT_ABOUT_THE_RECORDS or 300 <= answer.status < 400:
        raise BusyError(str(answer), pause_s(answer.retry_after))
    raise RefusedError(str(answer))


def pause_s(retry_after: str | None) -> float:
    """Seconds that a Retry-After header asks for (RFC 9110, 10.2.3); 0 without one that makes sense."""
    if not retry_after:
        return 0.0
    try:
        pause = float(retry_after)
    except ValueError:
        from email.utils import parsedate_to_datetime

        try:
            pause = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (TypeError, ValueError):
            return 0.0
    return min(pause, MAX_RETRY_AFTER_S) if pause > 0.0 else 0.0  # "nan" is not
