"""What a log buffer says of itself."""

from __future__ import annotations

from typing import NamedTuple


class LogBufferStats(NamedTuple):
    """What became of the records so far.

    `lost` counts those that will not arrive, by reason, and `set_aside` those that the sink refused, by what it said.
    `queued_bytes` is memory; `spooled` are those of the queued that are on disk and outlive the process,
    `spooled_bytes` what the files take, `recovered` those that a dead process had left there. `oldest_age_s` is how
    long the oldest queued one has waited, in seconds.
    """

    accepted: int
    sent: int
    queued: int
    queued_bytes: int
    retried: int
    lost: dict[str, int]
    last_error: str
    set_aside: dict[str, int]
    spooled: int
    spooled_bytes: int
    recovered: int
    oldest_age_s: float
