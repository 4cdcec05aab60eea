"""Elasticsearch's and OpenSearch's bulk API."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Unpack

from microdelay.remedy.sinks.http_answer import NOT_ABOUT_THE_RECORDS, Answer, is_busy, judge, pause_s
from microdelay.remedy.sinks.http_post import HttpOptions, HttpPost
from microdelay.remedy.sinks.records import as_batch, json_text, time_s, with_fields
from microdelay.remedy.sinks.sink import PartlyRefusedError

ASKED: Final = "filter_path=errors,items.*.status,items.*.error.type,items.*.error.reason"
"""Of the answer to each record, what is looked at: a tenth of what would be sent."""

THERE_ALREADY: Final = 409
"""The answer to a document whose `_id` exists: what an earlier attempt got through."""


class ElasticsearchSink:
    """Creates a document for each record, by `_bulk`, in a data stream or an index of Elasticsearch or OpenSearch.

    `url` is the server's; without a path it is that of `/_bulk`. A document is the record with `@timestamp`. Its `_id`
    is the record's id, so that a repetition finds it there and changes nothing. The service answers for each record:
    429 and 5xx are sent again, others are refused for good with the service's reason, and the rest is taken. `api_key`
    goes as the header `Authorization: ApiKey …`; `auth` is for a user's name and password.

    Raises `RemedyError` for a URL or an option that cannot work.
    """

    takes_several_at_once = True

    def __init__(
        self,
        url: str,
        index: str = "logs-microdelay-default",
        *,
        api_key: str | None = None,
        **options: Unpack[HttpOptions],
    ) -> None:
        if api_key is not None:
            options["headers"] = {**(options.get("headers") or {}), "Authorization": f"ApiKey {api_key}"}
        self._http = HttpPost(url, "/_bulk?" + ASKED, **options)
        self._action = b'{"create":{"_index":%b,"_id":"' % json_text(index)

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """POST it. Raises `PartlyRefusedError` for records that were not taken, the others by the answer's status."""
        lines: list[bytes] = []
        for record_id, record in zip(as_batch(batch, batch_id).ids, batch, strict=True):
            lines += (b'%b%b"}}' % (self._action, record_id.encode()), _document(record), b"")
        body = b"\n".join(line for line in lines if line) + b"\n"
        answer = self._http.post(body, timeout_s, {"Content-Type": "application/x-ndjson"})
        judge(answer)
        _judge_items(answer, len(batch))

    def forget(self) -> None:
        """Let go of the connection, which is the parent's."""
        self._http.forget()


def _document(record: bytes) -> bytes:
    if b'"@timestamp"' in record and "@timestamp" in json.loads(record):
        return record  # the same field twice would be refused
    at = datetime.fromtimestamp(time_s(record), UTC).isoformat(timespec="microseconds")
    return with_fields(b'"@timestamp":"%b"' % at.encode(), record)


def _judge_items(answer: Answer, records: int) -> None:
    if b'"errors":false' in answer.body[:200]:
        return
    try:
        result = json.loads(answer.body)
        items = [next(iter(item.values())) for item in result["items"]] if result["errors"] else []
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # a proxy's page, say
        raise ConnectionError(f"this is no answer of a bulk API: {answer}") from error
    if result["errors"] and len(items) != records:
        raise ConnectionError(f"the sink answered for {len(items)} of {records} records")
    refused: dict[int, str] = {}
    retry: list[int] = []
    for at, item in enumerate(items):
        status = item["status"]
        if 200 <= status < 300 or status == THERE_ALREADY:
            continue
        if is_busy(status) or status in NOT_ABOUT_THE_RECORDS:
            retry.append(at)
        else:
            cause = item.get("error", {})
            refused[at] = f"{status} {cause.get('type')}: {cause.get('reason')}"
    if refused or retry:
        raise PartlyRefusedError(refused, retry, pause_s(answer.retry_after))
