"""What a log buffer was told, in the form in which its parts read it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ShipperOptions:
    """What a `LogBuffer` was told; its docstring says what each means."""

    flush_interval: float
    batch_size: int
    batch_bytes: int
    max_bytes: int
    max_record_bytes: int
    when_full: str
    block_timeout: float
    timeout: float
    max_backoff: float
    max_age: float | None
    spool_sync: float | None
    exit_timeout: float
    in_flight: int
