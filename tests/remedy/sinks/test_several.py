"""Several: each sink gets each record once, whichever of them fails, and how."""

from __future__ import annotations

import json

import pytest

from microdelay import LogBuffer
from microdelay.errors import RemedyError
from microdelay.remedy.sinks import BusyError, FileSink, HttpSink, PartlyRefusedError, RefusedError, Several


class Fickle:
    """Takes records, after it has raised what it was given."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.taken: list[str] = []
        self.times: list[float] = []
        self.forgot = False

    def send(self, batch, batch_id, timeout_s):
        self.times.append(timeout_s)
        error = self.errors.pop(0) if self.errors else None
        left = set(range(len(batch)))
        if isinstance(error, PartlyRefusedError):
            left -= {*error.refused, *error.retry}
        if error is None or isinstance(error, PartlyRefusedError):
            self.taken += [json.loads(batch[at])["message"] for at in sorted(left)]
        if error is not None:
            raise error

    def forget(self):
        self.forgot = True


class Picky(Fickle):
    """Refuses a batch with "bad" in it as a whole."""

    def send(self, batch, batch_id, timeout_s):
        if any(b'"bad"' in record for record in batch):
            raise RefusedError("there is something bad in it")
        super().send(batch, batch_id, timeout_s)


MESSAGES = [str(number) for number in range(6)]


@pytest.mark.parametrize(
    "errors",
    [
        [ConnectionResetError("gone")] * 3,
        [BusyError("wait", 0.01)],
        [PartlyRefusedError({}, [1, 4]), TimeoutError("slow"), PartlyRefusedError({}, [1])],
    ],
    ids=["reset", "busy", "partly"],
)
def test_what_fails_gets_its_records_again_and_the_others_do_not(errors):
    fickle, steady, other = Fickle(*errors), Fickle(), Fickle(OSError("once"))
    with LogBuffer(Several(fickle, steady, other), max_backoff=0.01, flush_interval=3600) as buffer:
        for message in MESSAGES:
            buffer.log(message)
    assert [sorted(each.taken) for each in (fickle, steady, other)] == [MESSAGES] * 3
    assert buffer.stats().sent == 6


def test_a_record_that_one_refuses_reaches_the_others_and_is_set_aside_with_its_reason():
    picky, steady = Picky(), Fickle()
    with LogBuffer(Several(picky, steady), flush_interval=3600) as buffer:
        for message in [*MESSAGES, "bad"]:
            buffer.log(message)
    assert sorted(picky.taken)[:6] == MESSAGES
    assert sorted(steady.taken)[:7] == [*MESSAGES, "bad"]
    assert buffer.stats().lost == {"set aside": 1}
    assert "Picky: there is something bad in it" in buffer.stats().last_error


def test_a_refusal_is_reported_once_all_others_have_the_record(make_batch):
    several = Several(Picky(), Fickle(OSError("down")))
    batch = make_batch("good", "bad")
    with pytest.raises(BusyError, match="Fickle: OSError: down"):
        several.send(batch, "b", 1)
    with pytest.raises(PartlyRefusedError) as caught:
        several.send(batch, "b", 1)
    assert (list(caught.value.refused), list(caught.value.retry)) == ([1], [])


def test_an_attempts_time_is_divided_and_who_failed_last_comes_last(make_batch):
    order: list[str] = []

    class Noted(Fickle):
        def send(self, batch, batch_id, timeout_s):
            order.append("failing" if self is failing else "steady")
            super().send(batch, batch_id, timeout_s)

    failing, steady = Noted(TimeoutError(), TimeoutError()), Noted()
    several = Several(failing, steady)
    for message in ("one", "two"):
        with pytest.raises(BusyError):
            several.send(make_batch(message, start=len(order)), "b", 8)
    assert order == ["failing", "steady", "steady", "failing"]
    assert failing.times[0] == pytest.approx(4, abs=1)
    assert failing.times[1] == pytest.approx(8, abs=1)


def test_urls_functions_and_sinks_go_together(http, tmp_path):
    seen: list[dict[str, object]] = []
    http.faults.append("reset")
    with LogBuffer(Several(HttpSink(http.url), seen.extend, FileSink(tmp_path / "log")), max_backoff=0.01) as buffer:
        buffer.log("one")
    assert [record["message"] for record in seen] == ["one"]
    assert json.loads(http.requests[-1].body)[0]["message"] == "one"
    assert json.loads((tmp_path / "log").read_text())["message"] == "one"


def test_a_forked_child_forgets_in_all_of_them():
    members = [Fickle(), Fickle()]
    Several(*members).forget()
    assert all(member.forgot for member in members)


@pytest.mark.parametrize("sinks", [(), ("ftp://host",), (7,)])
def test_what_cannot_be_a_sink_is_said_at_once(sinks):
    with pytest.raises(RemedyError):
        Several(*sinks)
