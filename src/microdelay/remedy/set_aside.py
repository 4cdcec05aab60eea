"""Records that a sink will never take: counted by reason, and kept in a file where one is named."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Final

from microdelay.remedy.process_end import say
from microdelay.remedy.record_batch import Batch

MAX_REASONS: Final = 50
"""Reasons counted one by one: what a service says may have the record in it."""

MAX_REASON_CHARS: Final = 200
OTHER: Final = "other reasons"


class SetAside:
    """`path` gets one line of JSON a record, {"reason", "id", "record"}, up to `max_bytes`."""

    LOST: Final = "set aside"

    def __init__(self, path: Path | None, max_bytes: int) -> None:
        self._path, self._max_bytes = path, max_bytes
        self.reasons: Counter[str] = Counter()

    def add(self, batch: Batch, reason: str) -> None:
        """Count its records, and keep them where there is a file that has room for them."""
        reason = reason[:MAX_REASON_CHARS]
        known = reason in self.reasons or len(self.reasons) < MAX_REASONS
        self.reasons[reason if known else OTHER] += len(batch)
        if self._path is None:
            return
        try:
            self._write(batch, reason)
        except OSError as error:
            say(f"{self._path} could not take {len(batch)} records that were set aside: {error}")

    def _write(self, batch: Batch, reason: str) -> None:
        said = json.dumps(reason).encode()
        lines = b"".join(
            b'{"reason":%b,"id":"%b","record":%b}\n' % (said, record_id.encode(), record)
            for record_id, record in zip(batch.ids, batch, strict=True)
        )
        fd = os.open(self._path or "", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if os.fstat(fd).st_size + len(lines) > self._max_bytes:
                raise OSError(f"it would grow above {self._max_bytes} bytes")
            os.write(fd, lines)
        finally:
            os.close(fd)
