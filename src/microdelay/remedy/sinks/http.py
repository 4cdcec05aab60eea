"""Any HTTP service that takes JSON: an array, or a line for each record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, Unpack

from microdelay.errors import RemedyError
from microdelay.remedy.sinks.http_answer import judge
from microdelay.remedy.sinks.http_post import HttpOptions, HttpPost
from microdelay.remedy.sinks.records import as_batch, json_text, with_fields

Form = Literal["array", "lines"]

CONTENT_TYPE: Final[dict[Form, str]] = {"array": "application/json", "lines": "application/x-ndjson"}


class HttpSink:
    """POSTs a batch as a JSON array or, in the form "lines", as newline-delimited JSON.

    The header `Idempotency-Key` is the same at each attempt to send a batch. With `id_field` each record has its id as
    a field of that name, the same at each attempt, in whichever batch. `options` are those of `HttpOptions`.

    Raises `RemedyError` for a URL or an option that cannot work.
    """

    takes_several_at_once = True

    def __init__(
        self, url: str, *, form: Form = "array", id_field: str | None = None, **options: Unpack[HttpOptions]
    ) -> None:
        if form not in CONTENT_TYPE:
            raise RemedyError(f"form must be 'array' or 'lines', not {form!r}")
        self._http = HttpPost(url, **options)
        self._is_array = form == "array"
        self._id_field = id_field
        has_type = any(name.lower() == "content-type" for name in options.get("headers") or ())
        self._headers = {} if has_type else {"Content-Type": CONTENT_TYPE[form]}

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """POST it. Raises `BusyError`, `TooLargeError` or `RefusedError` by the answer's status."""
        records = batch if self._id_field is None else self._with_ids(batch, batch_id)
        body = b"[" + b",".join(records) + b"]" if self._is_array else b"\n".join(records) + b"\n"
        judge(self._http.post(body, timeout_s, {**self._headers, "Idempotency-Key": batch_id}))

    def forget(self) -> None:
        """Let go of the connection, which is the parent's."""
        self._http.forget()

    def _with_ids(self, batch: Sequence[bytes], batch_id: str) -> list[bytes]:
        name = json_text(self._id_field or "")
        batch = as_batch(batch, batch_id)
        return [
            with_fields(b'%b:"%b"' % (name, each.encode()), record)
            for each, record in zip(batch.ids, batch, strict=True)
        ]
