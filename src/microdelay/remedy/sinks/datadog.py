"""Datadog's intake of logs, version 2."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from time import monotonic
from typing import Final, Unpack

from microdelay.remedy.sinks.http_answer import judge
from microdelay.remedy.sinks.http_post import HttpOptions, HttpPost
from microdelay.remedy.sinks.records import as_batch, in_parts, json_text, send_parts, time_s, with_fields

MAX_ITEMS: Final = 1000
"""Records in a request (Datadog's API reference, "Send logs")."""

MAX_BODY_BYTES: Final = 5 * 1000 * 1000
"""Of a request before compression (likewise). A single record above 1 MB is taken, and cut by Datadog."""


class DatadogSink:
    """POSTs batches to Datadog.

    `site` is that of the account, e.g. `datadoghq.eu`; `url` takes the place of the intake's, for a proxy or an agent.
    `service`, `source`, `tags` ("env:prod,team:a") and `host` (this machine by default) describe each record, whose
    fields are attributes; `level` is its status. The intake does not drop repetitions: the record's id is the
    attribute `record_id`. A batch that is larger than the intake takes goes in several requests.

    Raises `RemedyError` for a URL or an option that cannot work.
    """

    takes_several_at_once = True

    def __init__(
        self,
        api_key: str,
        *,
        site: str = "datadoghq.com",
        url: str | None = None,
        service: str | None = None,
        source: str = "python",
        tags: str | None = None,
        host: str | None = None,
        **options: Unpack[HttpOptions],
    ) -> None:
        options["headers"] = {**(options.get("headers") or {}), "DD-API-KEY": api_key}
        self._http = HttpPost(url or f"https://http-intake.logs.{site}", "/api/v2/logs", **options)
        described = {
            "service": service,
            "ddsource": source,
            "ddtags": tags,
            "hostname": host or socket.gethostname(),
        }
        self._described = json_text({name: value for name, value in described.items() if value is not None})[1:-1]

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """POST it. Raises `BusyError`, `TooLargeError` or `RefusedError` by the answer's status."""
        items = [
            with_fields(
                b'%b,"timestamp":%d,"record_id":"%b"' % (self._described, time_s(record) * 1000, record_id.encode()),
                record,
            )
            for record_id, record in zip(as_batch(batch, batch_id).ids, batch, strict=True)
        ]
        deadline = monotonic() + timeout_s

        def post(part: range) -> None:
            body = b"[" + b",".join(items[part.start : part.stop]) + b"]"
            judge(self._http.post(body, deadline - monotonic(), {"Content-Type": "application/json"}))

        send_parts(in_parts(items, MAX_ITEMS, MAX_BODY_BYTES), len(items), post)

    def forget(self) -> None:
        """Let go of the connection, which is the parent's."""
        self._http.forget()
