"""Grafana Loki's push API."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Unpack

from microdelay.errors import RemedyError
from microdelay.remedy.sinks.http_answer import judge
from microdelay.remedy.sinks.http_post import HttpOptions, HttpPost
from microdelay.remedy.sinks.records import as_batch, decode, json_text, time_ns

PATH: Final = "/loki/api/v1/push"

NO_LABEL: Final = re.compile(r"[^a-zA-Z0-9_]")
"""What the name of a label, or of a piece of structured metadata, must not have."""


class LokiSink:
    """Pushes batches to Loki.

    `url` is the server's; without a path it is that of the push API. A record belongs to the stream of `labels`, which
    are the same for all, and of the fields named in `label_fields`; these should have few values, each combination is
    a stream. The line is the message, and the other fields are structured metadata, which Loki takes by default since
    3.0; with `structured_metadata=False` the line is the record's JSON. `tenant` goes as X-Scope-OrgID.

    Loki keeps only one of two lines that have the same time and text. A record's number is in the digits of its time
    below microseconds, so that two records stay two and a repetition is dropped.

    Raises `RemedyError` for a URL or an option that cannot work.
    """

    takes_several_at_once = True

    def __init__(
        self,
        url: str,
        labels: Mapping[str, str],
        *,
        label_fields: Sequence[str] = ("level",),
        structured_metadata: bool = True,
        tenant: str | None = None,
        **options: Unpack[HttpOptions],
    ) -> None:
        if not labels:
            raise RemedyError('a stream must have a label, e.g. labels={"service_name": "agent"}')
        for name in labels:
            if NO_LABEL.search(name):
                raise RemedyError(f"the name of a label has letters, digits and _ only: {name!r}")
        if tenant is not None:
            options["headers"] = {**(options.get("headers") or {}), "X-Scope-OrgID": tenant}
        self._http = HttpPost(url, PATH, **options)
        self._labels, self._label_fields = dict(labels), tuple(label_fields)
        self._in_message = {"time", "message", *label_fields} if structured_metadata else None

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """POST it. Raises `BusyError`, `TooLargeError` or `RefusedError` by the answer's status."""
        streams: dict[tuple[str | None, ...], list[tuple[int, list[object]]]] = {}
        for number, each in zip(as_batch(batch, batch_id).numbers, batch, strict=True):
            record = decode(each)
            fields = tuple(_text(record[name]) if name in record else None for name in self._label_fields)
            seconds = record.get("time")
            at = time_ns(seconds if isinstance(seconds, int | float) else 0.0) + number % 1000
            streams.setdefault(fields, []).append((at, [str(at), *self._line(record, each)]))
        push = {
            "streams": [
                {"stream": self._stream(fields), "values": [value for _, value in sorted(values, key=_at)]}
                for fields, values in streams.items()
            ]
        }
        judge(self._http.post(json_text(push), timeout_s, {"Content-Type": "application/json"}))

    def forget(self) -> None:
        """Let go of the connection, which is the parent's."""
        self._http.forget()

    def _stream(self, fields: tuple[str | None, ...]) -> dict[str, str]:
        own = {
            NO_LABEL.sub("_", name): value
            for name, value in zip(self._label_fields, fields, strict=True)
            if value is not None
        }
        return {**self._labels, **own}

    def _line(self, record: dict[str, object], encoded: bytes) -> list[object]:
        if self._in_message is None:
            return [encoded.decode()]
        metadata = {
            NO_LABEL.sub("_", name): _text(value) for name, value in record.items() if name not in self._in_message
        }
        return [_text(record.get("message", "")), metadata]


def _at(value: tuple[int, list[object]]) -> int:
    return value[0]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json_text(value).decode()
