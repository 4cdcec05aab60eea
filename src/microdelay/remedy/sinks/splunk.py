"""Splunk's HTTP event collector."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Final, Unpack

from microdelay.remedy.sinks.http_answer import Answer, judge
from microdelay.remedy.sinks.http_post import HttpOptions, HttpPost
from microdelay.remedy.sinks.records import as_batch, json_text, time_s
from microdelay.remedy.sinks.sink import PartlyRefusedError, RefusedError

PATH: Final = "/services/collector/event"


class SplunkSink:
    """POSTs batches to the HTTP event collector (HEC).

    `url` is the server's; without a path it is that of the collector. `token` is the collector's. A record is the
    event as it is; `index`, `source`, `sourcetype` and `host` describe it (by default the token's index and this
    machine). Splunk does not drop repetitions: the record's id is the indexed field `record_id`, by which a search
    can (`| dedup record_id`). Where the answer names the event that is not valid, that one alone is refused.

    Raises `RemedyError` for a URL or an option that cannot work.
    """

    takes_several_at_once = True

    def __init__(
        self,
        url: str,
        token: str,
        *,
        index: str | None = None,
        source: str | None = None,
        sourcetype: str = "_json",
        host: str | None = None,
        **options: Unpack[HttpOptions],
    ) -> None:
        options["headers"] = {**(options.get("headers") or {}), "Authorization": f"Splunk {token}"}
        self._http = HttpPost(url, PATH, **options)
        described = {"index": index, "source": source, "sourcetype": sourcetype, "host": host or socket.gethostname()}
        self._described = json_text({name: value for name, value in described.items() if value is not None})[1:-1]

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """POST it. Raises `PartlyRefusedError` for an event that is not valid, the others by the answer's status."""
        body = b"".join(
            b'{"time":%.6f,%b,"fields":{"record_id":"%b"},"event":%b}'
            % (time_s(record), self._described, record_id.encode(), record)
            for record_id, record in zip(as_batch(batch, batch_id).ids, batch, strict=True)
        )
        answer = self._http.post(body, timeout_s, {"Content-Type": "application/json"})
        try:
            judge(answer)
        except RefusedError as error:
            at = _invalid_event(answer)
            if at is None or not 0 <= at < len(batch):
                raise
            # Whether those in front of it were taken depends on the version: they are sent again, with their ids.
            raise PartlyRefusedError({at: str(answer)}, [each for each in range(len(batch)) if each != at]) from error

    def forget(self) -> None:
        """Let go of the connection, which is the parent's."""
        self._http.forget()


def _invalid_event(answer: Answer) -> int | None:
    """The place of the event that the collector could not read, where it says so."""
    if answer.status != 400:
        return None
    try:
        at = json.loads(answer.body)["invalid-event-number"]
    except (ValueError, LookupError, TypeError):
        return None
    return at if isinstance(at, int) else None
