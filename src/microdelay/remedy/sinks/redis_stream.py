"""Streams of Redis and Valkey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from microdelay.errors import RemedyError
from microdelay.remedy.record_batch import Batch
from microdelay.remedy.sinks.extras import require
from microdelay.remedy.sinks.records import as_batch, time_s
from microdelay.remedy.sinks.sink import PartlyRefusedError

if TYPE_CHECKING:
    import redis

TOO_LOW: Final = "equal or smaller than the target stream top item"
"""How Redis and Valkey answer an explicit id that is not above all that are there (`XADD`, t_stream.c)."""


class RedisStreamSink:
    """Adds an entry for each record to a stream: `id`, the record's id, and `record`, its JSON.

    `url` is redis-py's, e.g. `redis://:password@host:6379/0`, `rediss://` or `unix://`. A batch is one transaction,
    which is taken as a whole or not at all, so that only a lost answer makes duplicates; readers tell them by `id`.
    With `explicit_ids` entries are numbered here, by the records' times, and a repetition is not added again; where
    others write to the stream at the same time, that costs repetitions of the number instead. The stream keeps about
    `max_entries`. An error of the server is an outage: memory that is full, a read-only replica, a wrong password.

    Raises `RemedyError` for a URL that is not valid, and for a missing redis-py.
    """

    def __init__(
        self, url: str, stream: str, *, max_entries: int | None = 1_000_000, explicit_ids: bool = False
    ) -> None:
        self._redis = require("redis", "redis", "RedisStreamSink")
        self._url, self._stream, self._max_entries, self._explicit_ids = url, stream, max_entries, explicit_ids
        self._client: redis.Redis | None = None
        self._timeout_s = 0.0
        self._last = (0, 0)  # the highest explicit id so far
        self._given: dict[str, tuple[int, int]] = {}  # explicit ids of records that were not yet taken for sure
        try:
            self._redis.Redis.from_url(url).close()  # without a connection so far
        except ValueError as error:
            raise RemedyError(f"the URL of Redis is not valid: {error}") from None

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """Add it. Raises errors of redis-py, and `PartlyRefusedError` for what was not added by explicit ids."""
        records = as_batch(batch, batch_id)
        pipeline = self._connected(timeout_s).pipeline(transaction=not self._explicit_ids)
        numbers = self._explicit(records) if self._explicit_ids else ["*"] * len(records)
        for number, record_id, record in zip(numbers, records.ids, records, strict=True):
            entry = {"id": record_id, "record": record}
            pipeline.xadd(self._stream, entry, id=number, maxlen=self._max_entries, approximate=True)  # type: ignore[arg-type]
        answers = pipeline.execute(raise_on_error=False)
        failed = [at for at, answer in enumerate(answers) if isinstance(answer, Exception)]
        late = [at for at in failed if self._explicit_ids and TOO_LOW in str(answers[at])]
        if len(failed) == len(answers) and not late:
            raise answers[0]
        retry = sorted({*failed} - {*late} | {*self._not_there(records, numbers, late)})
        if retry:
            raise PartlyRefusedError({}, retry)
        self._given.clear()

    def forget(self) -> None:
        """Let go of the connection, which is the parent's."""
        self._client = None

    def _not_there(self, records: Batch, numbers: list[str], late: list[int]) -> list[int]:
        """Of records whose numbers were too low, those that are not in the stream; they will get higher ones."""
        if not late or self._client is None:
            return []
        pipeline = self._client.pipeline(transaction=False)
        for at in late:
            pipeline.xrange(self._stream, numbers[at], numbers[at])
        pipeline.xrevrange(self._stream, count=1)
        *found, top = pipeline.execute()
        missing = [
            at
            for at, entries in zip(late, found, strict=True)
            if not any(_text(entry, "id") == records.ids[at] for _, entry in entries)
        ]
        for at in missing:
            del self._given[records.ids[at]]
        if missing and top:
            number = top[0][0]
            ms, _, sequence = (number.decode() if isinstance(number, bytes) else number).partition("-")
            self._last = max(self._last, (int(ms), int(sequence)))
        return missing

    def _explicit(self, records: Batch) -> list[str]:
        """Ids in the order of the stream, by the records' times; the same ones at each attempt."""
        wanted = set(records.ids)
        self._given = {each: number for each, number in self._given.items() if each in wanted}
        for record_id, record in zip(records.ids, records, strict=True):
            if record_id not in self._given:
                ms = round(time_s(record) * 1000)
                self._last = (ms, 0) if ms > self._last[0] else (self._last[0], self._last[1] + 1)
                self._given[record_id] = self._last
        return ["{}-{}".format(*self._given[each]) for each in records.ids]

    def _connected(self, timeout_s: float) -> redis.Redis:
        """The client; a new one where an attempt has another time than those before."""
        if self._client is None or timeout_s != self._timeout_s:
            from redis.backoff import NoBackoff
            from redis.retry import Retry

            client: redis.Redis = self._redis.Redis.from_url(
                self._url,
                socket_timeout=timeout_s,
                socket_connect_timeout=timeout_s,
                retry=Retry(NoBackoff(), 0),  # a repetition is the buffer's business, which knows the ids
                single_connection_client=False,
            )
            if self._client is not None:
                self._client.close()
            self._client, self._timeout_s = client, timeout_s
        return self._client


def _text(entry: dict[bytes | str, bytes | str], name: str) -> str:
    """A field, whether the URL asks redis-py to decode or not."""
    value = entry.get(name.encode(), entry.get(name, ""))
    return value.decode() if isinstance(value, bytes) else value
