"""Topics of Kafka, and of whatever speaks its protocol."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, Final

from microdelay.errors import RemedyError
from microdelay.remedy.sinks.extras import require
from microdelay.remedy.sinks.records import as_batch
from microdelay.remedy.sinks.sink import PartlyRefusedError

POLL_S: Final = 0.05
"""Wait for room in the producer's queue before the next look at the time, s."""

DEFAULTS: Final[Mapping[str, object]] = {
    "enable.idempotence": True,  # librdkafka's own repetitions make no duplicates and keep the order
    "compression.type": "lz4",
    "linger.ms": 5,
    "log.connection.close": False,
}

REFUSALS: Final = ("MSG_SIZE_TOO_LARGE", "INVALID_MSG", "INVALID_RECORD", "_BAD_MSG")
"""Errors that are a record's own (librdkafka's names); all others are an outage."""

TAKEN: Final = ""
"""The state of a record that Kafka has; another text is the reason why it will never have it."""


class KafkaSink:
    """Sends each record as a message to a topic, by confluent-kafka's idempotent producer.

    `config` is librdkafka's (`bootstrap.servers` at least), over ours: idempotence, lz4, 5 ms of linger. The value of
    a message is the record's JSON, its header `id` the record's id; messages have no key, the producer spreads them
    over the partitions. What it still holds when an attempt's time is over is waited for at the next one and not given
    to it again. A message that is too large is refused by itself.

    Raises `RemedyError` for a config that librdkafka refuses, and for a missing confluent-kafka.
    """

    def __init__(self, config: Mapping[str, object], topic: str) -> None:
        self._kafka = require("confluent_kafka", "kafka", "KafkaSink")
        self._config, self._topic = {**DEFAULTS, **config}, topic
        if "bootstrap.servers" not in self._config:
            raise RemedyError('KafkaSink needs {"bootstrap.servers": "host:9092"} in its config')
        self._refusals = {getattr(self._kafka.KafkaError, name) for name in REFUSALS}
        self._producer: Any = None
        self._states: dict[str, str | None] = {}  # by record id: not known yet, taken, or refused for a reason
        try:
            self._new_producer()
        except self._kafka.KafkaException as error:
            raise RemedyError(f"librdkafka does not take the config: {error.args[0].str()}") from None

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """Produce it and wait for the brokers' word. Raises `PartlyRefusedError`, and `TimeoutError` without one."""
        deadline = monotonic() + timeout_s
        records = as_batch(batch, batch_id)
        wanted = set(records.ids)
        self._states = {each: state for each, state in self._states.items() if each in wanted}
        producer = self._producer or self._new_producer()
        for record_id, record in zip(records.ids, records, strict=True):
            if record_id not in self._states:
                self._produce(producer, record_id, record, deadline)
        producer.flush(max(deadline - monotonic(), 0.0))
        self._judge(records.ids)

    def forget(self) -> None:
        """Leave the producer to the parent, which has its threads; even its end would wait for them for ever."""
        if self._producer is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._producer))
        self._producer, self._states = None, {}

    def _new_producer(self) -> Any:
        self._producer = self._kafka.Producer(self._config, logger=_Silent())
        return self._producer

    def _produce(self, producer: Any, record_id: str, record: bytes, deadline: float) -> None:
        states = self._states
        while True:
            try:
                states[record_id] = None
                producer.produce(
                    self._topic,
                    record,
                    headers=[("id", record_id.encode())],
                    on_delivery=partial(self._on_delivery, states, record_id),
                )
            except BufferError:  # its queue is full
                del states[record_id]
                producer.poll(POLL_S)
                if monotonic() >= deadline:
                    raise TimeoutError("the producer's queue stays full") from None
            except self._kafka.KafkaException as error:
                self._on_delivery(states, record_id, error.args[0], None)
                return
            else:
                return

    def _on_delivery(self, states: dict[str, str | None], record_id: str, error: Any, message: object) -> None:
        """Called from within flush() and poll()."""
        states = self._states if record_id in self._states else states
        if error is None:
            states[record_id] = TAKEN
        elif error.code() in self._refusals:
            states[record_id] = error.str()
        else:
            states.pop(record_id, None)  # to be produced again
            if error.fatal():
                self._producer = None

    def _judge(self, ids: Sequence[str]) -> None:
        waiting = sum(1 for each in ids if self._states.get(each, TAKEN) is None)
        if waiting:
            raise TimeoutError(f"Kafka has not answered for {waiting} of {len(ids)} records yet")
        refused = {at: state for at, each in enumerate(ids) if (state := self._states.get(each))}
        retry = [at for at, each in enumerate(ids) if each not in self._states]
        if len(retry) == len(ids):
            raise ConnectionError("Kafka took none of the records")
        if refused or retry:
            raise PartlyRefusedError(refused, retry)
        self._states = {}


class _Silent:
    """A logger for librdkafka's lines: the buffer says what becomes of records, and the program's log is for itself."""

    def log(self, *_: object) -> None:
        """Say nothing."""
