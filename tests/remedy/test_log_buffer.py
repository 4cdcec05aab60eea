"""What LogBuffer promises, held against a real HTTP server that misbehaves, real threads, loops, forks and exits."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import math
import multiprocessing
import os
import signal
import socket
import threading
import weakref
from typing import Any

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

from microdelay import BufferedHandler, LogBuffer
from microdelay.errors import RemedyError
from microdelay.remedy.sinks import FileSink

NEVER = 3600.0


# -- batches


def test_records_arrive_in_order_as_json_arrays_over_one_connection(service):
    with LogBuffer(service.url, batch_size=10) as buffer:
        for number in range(25):
            buffer.log("step", number=number)
    assert [len(batch) for batch in service.batches] == [10, 10, 5]
    assert [record["number"] for record in service.records] == list(range(25))
    assert service.connections == 1
    assert service.headers[0]["Content-Type"] == "application/json"


def test_a_full_batch_goes_without_waiting_for_the_interval(service):
    with LogBuffer(service.url, flush_interval=NEVER, batch_size=3) as buffer:
        for _ in range(3):
            buffer.log("step")
        service.wait_for_records(3)


@pytest.mark.parametrize("full", [{"batch_size": 250}, {"batch_bytes": 10_000}], ids=lambda full: next(iter(full)))
def test_a_full_batch_goes_at_once_when_its_records_come_while_the_worker_sleeps(service, full):
    with LogBuffer(service.url, flush_interval=NEVER, **full) as buffer:
        buffer.log("first")
        buffer.flush()
        buffer.log("second")
        while buffer.stats().queued_bytes < 200:  # the worker has seen that a batch was begun, and sleeps again
            buffer.log("more")
        for number in range(248):
            buffer.log("more", number=number)
        service.wait_for_records(100)


def test_what_one_record_has_wrong_costs_none_of_those_that_came_with_it():
    records: list[dict[str, Any]] = []
    odd = {"lone": "\ud800", "huge": 2**70, "time": "noon", "message": "text", "nan": math.nan}
    with LogBuffer(records.extend) as buffer:
        for number in range(250):
            buffer.log("step", number=number, **({} if number % 10 else odd))
    assert [record["number"] for record in records] == list(range(250))
    assert all(type(record["time"]) is float and record["message"] == "step" for record in records)
    assert [record.get("time_") for record in records[:2]] == ["noon", None]
    assert records[0]["huge"] == 2**70
    assert (records[0]["nan"], records[0]["message_"], records[0]["lone"]) == (None, "text", "\\ud800")


def test_the_interval_sends_what_is_there(service):
    with LogBuffer(service.url, flush_interval=0.01) as buffer:
        buffer.log("one")
        service.wait_for_records(1)
        buffer.log("two")
        service.wait_for_records(2)


def test_flush_sends_at_once_and_says_that_all_is_sent(service):
    with LogBuffer(service.url, flush_interval=NEVER) as buffer:
        buffer.log("one")
        assert buffer.flush() is True
        assert service.messages == ["one"]
        assert buffer.flush() is True


def test_a_batch_stays_below_a_megabyte(service):
    with LogBuffer(service.url) as buffer:
        for _ in range(30):
            buffer.log("x" * 100_000)
    assert len(service.records) == 30
    assert len(service.batches) > 2


def test_a_function_gets_the_records_too():
    batches: list[list[dict[str, Any]]] = []
    with LogBuffer(batches.append) as buffer:
        buffer.log("one", user=7)
    assert [(record["message"], record["user"]) for record in batches[0]] == [("one", 7)]


def test_headers_go_along(service):
    with LogBuffer(service.url, headers={"Authorization": "Bearer abc"}) as buffer:
        buffer.log("one")
    assert service.headers[0]["Authorization"] == "Bearer abc"


def test_stats_add_up(service):
    buffer = LogBuffer(service.url, flush_interval=NEVER)
    buffer.log("one")
    buffer.log("two")
    assert (buffer.stats().accepted, buffer.stats().queued, buffer.stats().sent) == (2, 2, 0)
    assert buffer.stats().queued_bytes > 0
    buffer.close()
    assert (buffer.stats().sent, buffer.stats().queued, buffer.stats().queued_bytes) == (2, 0, 0)


# -- records


def sent_record(message: str, /, **fields: object) -> dict[str, Any]:
    """The record as the sink gets it, parsed without Python's leniency."""
    batches: list[list[dict[str, Any]]] = []
    with LogBuffer(batches.append) as buffer:
        buffer.log(message, **fields)
    [[record]] = batches
    return json.loads(json.dumps(record), parse_constant=lambda constant: pytest.fail(constant))


def test_a_record_is_taken_at_the_call():
    batches: list[list[dict[str, Any]]] = []
    with LogBuffer(batches.append) as buffer:
        order = {"items": [1]}
        buffer.log("order", order=order)
        order["items"].append(2)
    assert batches[0][0]["order"] == {"items": [1]}


class Nameless:
    def __str__(self) -> str:
        raise RuntimeError("no name")


def endless() -> list[object]:
    inner: list[object] = []
    inner.append(inner)
    return inner


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ({1}, "{1}"),
        (b"ab", "b'ab'"),
        (math.nan, None),
        ([math.inf], [None]),
        ({(1, 2): "pair"}, {"(1, 2)": "pair"}),
        ({1: "one"}, {"1": "one"}),
        (10**30, 10**30),
        ("\ud800", "\\ud800"),
        (ValueError("bad"), "ValueError('bad')"),
        (Nameless(), "<Nameless without a text>"),
        ((1, "ü"), [1, "ü"]),
    ],
)
def test_what_json_cannot_say_becomes_text(value, kept):
    assert sent_record("x", value=value, beside=1)["value"] == kept


def test_a_value_that_holds_itself_arrives_cut():
    record = sent_record("x", value=endless(), beside=1)
    assert record["beside"] == 1
    assert "[" in json.dumps(record["value"])


def test_a_message_that_is_no_text_becomes_one():
    assert sent_record(Nameless())["message"] == "<Nameless without a text>"  # type: ignore[arg-type]
    assert sent_record("\ud800")["message"] == "\\ud800"


def test_a_field_with_a_name_of_ours_is_kept_beside_it():
    record = sent_record("said", message="field", time="noon")
    assert record["message"] == "said"
    assert record["message_"] == "field"
    assert record["time_"] == "noon"
    assert isinstance(record["time"], float)


def test_a_huge_record_is_cut_with_a_mark():
    batches: list[list[dict[str, Any]]] = []
    with LogBuffer(batches.append, max_record_bytes=1000) as buffer:
        buffer.log("m" * 5000, answer=["ü" * 5000], user=7)
        buffer.log("many", **{f"field_{number}": number for number in range(500)})
    first, second = batches[0]
    assert first["user"] == 7
    assert "bytes cut" in first["message"]
    assert "bytes cut" in first["answer"]
    assert "bytes cut" in second["cut"]
    assert second["message"] == "many"
    assert all(len(json.dumps(record, ensure_ascii=False).encode()) <= 1000 for record in batches[0])


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.binary() | st.dates(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner) | st.tuples(inner),
    max_leaves=10,
)


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters()), st.dictionaries(st.text(min_size=1), anything, max_size=3))
def test_whatever_is_logged_arrives_with_its_neighbours(message, fields):
    batches: list[list[dict[str, Any]]] = []
    with LogBuffer(batches.append) as buffer:
        buffer.log("before")
        buffer.log(message, **fields)
        buffer.log("after")
    [records] = batches
    assert [records[0]["message"], records[2]["message"]] == ["before", "after"]
    assert len(records[1]) == len(fields) + 2
    assert not buffer.stats().lost


# -- a sink in trouble


@pytest.mark.parametrize(
    "answer",
    [(500, {}), (503, {}), (429, {"Retry-After": "0.01"}), (408, {}), (401, {}), (404, {}), (301, {}), "reset"],
)
def test_a_batch_whose_sending_fails_is_sent_again(service, answer):
    service.answers.extend([answer, answer])
    with LogBuffer(service.url, max_backoff=0.01) as buffer:
        buffer.log("one")
        assert buffer.flush(20)
    assert service.messages == ["one"]
    assert buffer.stats().sent == 1
    assert len(set(service.ids)) == 1, "an attempt and its repetition carry the same id"


def test_retry_after_may_be_a_date(service):
    service.answers.append((503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    with LogBuffer(service.url, max_backoff=0.01) as buffer:
        buffer.log("one")
        assert buffer.flush(20)
    assert service.messages == ["one"]


def test_a_sink_that_is_not_there_yet_gets_everything_later(start_service):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with LogBuffer(f"http://127.0.0.1:{port}/logs", max_backoff=0.01, batch_size=1) as buffer:
        buffer.log("one")
        buffer.log("two")
        assert not buffer.flush(0.05)
        service = start_service(port)
        assert buffer.flush(20)
    assert service.messages == ["one", "two"]
    assert buffer.stats().retried > 0


@pytest.mark.parametrize("status", [400, 410, 422])
def test_a_record_that_is_refused_is_set_aside_and_counted_and_the_next_one_goes(service, status, capsys):
    service.answers.append((status, {}))
    with LogBuffer(service.url, batch_size=1) as buffer:
        for name in ("a", "b"):
            buffer.log(name)
    assert service.messages[0] == "b"
    assert service.messages[1:] in ([], ["1 log record is missing here: 1 set aside"])
    assert buffer.stats().lost == {"set aside": 1}
    assert str(status) in next(iter(buffer.stats().set_aside))
    assert str(status) in buffer.stats().last_error
    assert f"the sink answered {status}" in capsys.readouterr().err


def test_a_batch_that_is_too_large_is_halved(service):
    service.answers.extend([(413, {}), (413, {})])
    with LogBuffer(service.url) as buffer:
        for number in range(8):
            buffer.log("step", number=number)
    assert [record["number"] for record in service.records] == list(range(8))
    assert len(service.batches[0]) == 2
    assert not buffer.stats().lost


def test_a_record_that_is_too_large_alone_is_set_aside(service):
    service.answers.append((413, {}))
    with LogBuffer(service.url) as buffer:
        buffer.log("one")
    assert buffer.stats().lost == {"set aside": 1}


def test_a_connection_that_the_service_closed_while_idle_costs_nothing(service):
    service.answers.append("close silently")
    with LogBuffer(service.url, flush_interval=NEVER) as buffer:
        buffer.log("one")
        assert buffer.flush()
        buffer.log("two")
        assert buffer.flush()
    assert service.messages == ["one", "two"]
    assert (service.connections, buffer.stats().retried) == (2, 0)


def test_a_function_that_fails_gets_the_batch_again():
    batches: list[list[dict[str, Any]]] = []
    problems = [OSError("down"), ValueError("a page instead of JSON")]

    def sink(records: list[dict[str, Any]]) -> None:
        if problems:
            raise problems.pop()
        batches.append(records)

    with LogBuffer(sink, max_backoff=0.01) as buffer:
        buffer.log("one")
        assert buffer.flush(20)
    assert [record["message"] for record in batches[0]] == ["one"]


def test_a_mistake_in_a_function_does_not_hold_back_the_rest_for_ever():
    batches: list[list[dict[str, Any]]] = []

    def sink(records: list[dict[str, Any]]) -> None:
        batches.append([{"user": record["user"]} for record in records])

    with LogBuffer(sink, max_backoff=0.01, batch_size=1) as buffer:
        buffer.log("no user")
        buffer.log("good", user=7)
        assert buffer.flush(20)
    assert batches == [[{"user": 7}]]
    assert buffer.stats().lost == {"set aside": 1}


def test_memory_is_bounded_while_the_sink_hangs_and_what_is_dropped_is_counted(service):
    service.gate.clear()
    with LogBuffer(service.url, max_bytes=100_000, batch_size=10) as buffer:
        for _ in range(3000):  # comes back although nothing is answered: the caller never waits for the sink
            buffer.log("x" * 50)
        stats = buffer.stats()
        assert stats.queued_bytes <= 100_000
        assert stats.accepted + stats.lost["full"] == 3000
        service.gate.set()
        assert buffer.flush(20)
        buffer.log("again")
    assert len([message for message in service.messages if message == "x" * 50]) == stats.accepted
    assert f"{stats.lost['full']} log records are missing here: {stats.lost['full']} full" in service.messages
    assert service.messages[-1] == "again"


def test_close_gives_up_on_a_sink_that_hangs(service):
    service.gate.clear()
    buffer = LogBuffer(service.url, timeout=1)
    buffer.log("one")
    assert buffer.close(timeout=0.05) is False
    buffer.log("late")
    assert buffer.stats().lost["closed"] == 1


def test_what_is_left_at_close_is_counted():
    entered, leave = threading.Event(), threading.Event()

    def sink(_: list[dict[str, Any]]) -> None:
        entered.set()
        leave.wait(20)
        raise OSError("down")

    buffer = LogBuffer(sink, batch_size=1)
    buffer.log("one")
    buffer.log("two")
    assert entered.wait(20)
    assert buffer.close(timeout=0.01) is False
    leave.set()
    worker_has_ended()
    assert buffer.stats().lost == {"unsent at close": 2}


def worker_has_ended() -> None:
    for thread in threading.enumerate():
        if thread.name == "microdelay-log-buffer":
            thread.join(20)
            assert not thread.is_alive()


def test_as_many_batches_are_on_their_way_at_once_as_was_asked_for(service):
    service.gate.clear()
    buffer = LogBuffer(service.url, batch_size=10, in_flight=3)
    for number in range(100):
        buffer.log("step", number=number)
    service.wait_until(lambda: service.requests == 3)
    service.gate.set()
    assert buffer.close(20)
    assert sorted(record["number"] for record in service.records) == list(range(100))
    assert service.connections == 3
    assert buffer.stats().sent == 100


def test_one_that_hangs_does_not_hold_up_the_other_batches_on_their_way():
    leave, seen = threading.Event(), threading.Event()
    taken: list[int] = []

    def sink(batch: list[dict[str, Any]]) -> None:
        if batch[0]["number"] == 0:
            leave.wait(20)
        taken.extend(record["number"] for record in batch)
        if len(taken) == 99:
            seen.set()

    buffer = LogBuffer(sink, batch_size=1, in_flight=2)
    for number in range(100):
        buffer.log("step", number=number)
    assert seen.wait(20)
    assert buffer.flush(0.01) is False
    leave.set()
    assert buffer.close(20)
    assert taken[-1] == 0


def test_a_sink_that_takes_one_batch_at_a_time_is_given_no_more(tmp_path):
    with pytest.raises(RemedyError, match="FileSink takes one batch at a time"):
        LogBuffer(FileSink(tmp_path / "log"), in_flight=2)


# -- threads, loops, signals


def test_records_of_many_threads_arrive_once_each(service):
    def work(name: int) -> None:
        for number in range(300):
            buffer.log("step", id=name * 1000 + number)

    with LogBuffer(service.url, batch_size=50) as buffer:
        threads = [threading.Thread(target=work, args=(name,)) for name in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    ids = [record["id"] for record in service.records]
    assert len(ids) == len(set(ids)) == 1800
    assert all(sorted(mine) == mine for mine in ([i for i in ids if i // 1000 == name] for name in range(6)))


def test_it_works_before_inside_between_and_after_event_loops(service):
    buffer = LogBuffer(service.url, flush_interval=NEVER)
    buffer.log("before")

    async def main(name: str) -> None:
        buffer.log(name)
        assert await buffer.aflush(20)

    asyncio.run(main("first"))
    asyncio.run(main("second"))
    buffer.log("after")
    buffer.close()
    assert service.messages == ["before", "first", "second", "after"]


def test_it_works_with_uvloop(service):
    async def main() -> None:
        async with LogBuffer(service.url, flush_interval=NEVER) as buffer:
            for number in range(100):
                buffer.log("step", number=number)
            assert await buffer.aflush(20)
            assert buffer.stats().sent == 100
            buffer.log("last")

    uvloop.run(main())
    assert service.messages == [*["step"] * 100, "last"]


def test_async_with_closes_without_holding_up_the_loop(service):
    service.gate.clear()

    async def main() -> None:
        async with LogBuffer(service.url) as buffer:
            buffer.log("one")
            asyncio.get_running_loop().call_later(0.01, service.gate.set)  # only a loop that runs opens the gate

    asyncio.run(main())
    assert service.messages == ["one"]


def test_aflush_says_that_time_ran_out_and_can_be_cancelled(service):
    service.gate.clear()

    async def main() -> None:
        buffer = LogBuffer(service.url)
        buffer.log("one")
        assert not await buffer.aflush(0.01)
        waiting = asyncio.create_task(buffer.aflush(NEVER))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        service.gate.set()
        assert await buffer.aclose(20)

    asyncio.run(main())


def test_a_sink_that_logs_does_not_feed_itself(service):
    logger = logging.getLogger("test.sink.that.logs")

    def sink(_: list[dict[str, Any]]) -> None:
        logger.warning("sending")
        assert buffer.flush() is False, "waiting for itself would never end"

    buffer = LogBuffer(sink, flush_interval=0.01)
    handler = BufferedHandler(buffer)
    logger.addHandler(handler)
    try:
        logger.warning("one")
        assert buffer.flush(20)
    finally:
        logger.removeHandler(handler)
        buffer.close()
    assert buffer.stats().lost == {"from inside the sink": 1}


def test_a_signal_handler_may_log_while_the_same_thread_logs():
    received: list[dict[str, Any]] = []
    in_handler = 0

    def on_signal(*_: object) -> None:
        nonlocal in_handler
        in_handler += 1
        buffer.log("signal")

    before = signal.signal(signal.SIGALRM, on_signal)
    try:
        with LogBuffer(received.extend, batch_size=7) as buffer:
            signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
            for _ in range(5000):
                buffer.log("main")
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(received) == 5000 + in_handler


def test_a_record_logged_while_the_worker_starts_starts_no_second_one(monkeypatch):
    received: list[dict[str, Any]] = []
    buffer = LogBuffer(received.extend, batch_size=1)
    started: list[threading.Thread] = []
    really_start = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        started.append(thread)
        if len(started) == 1:
            buffer.log("from a signal handler")
        really_start(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    buffer.log("one")
    buffer.close()
    assert [record["message"] for record in received] == ["one", "from a signal handler"]
    assert len(started) == 1


# -- the end of a buffer and of a process


def test_a_buffer_that_nobody_holds_sends_what_it_has_and_its_thread_ends(service):
    buffer = LogBuffer(service.url, flush_interval=NEVER)
    buffer.log("one")
    gone = weakref.ref(buffer)
    del buffer
    gc.collect()
    assert gone() is None
    service.wait_for_records(1)
    worker_has_ended()


PREAMBLE = """
    import atexit, os, sys, threading
    def earlier(): buffer.log("registered before")
    atexit.register(earlier)
    from microdelay import LogBuffer
    buffer = LogBuffer(sys.argv[1], flush_interval=3600.0, exit_timeout=0.2 if len(sys.argv) > 2 else 5.0)
"""


@pytest.mark.parametrize(
    ("source", "status", "messages"),
    [
        ("buffer.log('one')", 0, ["one"]),
        ("buffer.log('one'); sys.exit(3)", 3, ["one"]),
        ("buffer.log('one'); raise ValueError", 1, ["one"]),
        ("atexit.register(buffer.log, 'at exit')", 0, ["at exit"]),
        (
            "go = threading.Event(); "
            "threading.Thread(target=lambda: (threading.main_thread().join(), buffer.log('after main'))).start()",
            0,
            ["after main"],
        ),
    ],
    ids=["return", "sys.exit", "exception", "logged at exit", "thread outlives main"],
)
def test_the_end_of_the_process_sends_the_rest(service, run_script, source, status, messages):
    result = run_script(PREAMBLE + "    " + source, service.url)
    assert result.returncode == status
    assert service.messages == [*messages, "registered before"], result.stderr


def test_a_sink_that_hangs_does_not_hold_up_the_end_of_the_process(service, run_script):
    service.gate.clear()
    result = run_script(PREAMBLE + "    buffer.log('one')", service.url, "hangs")
    assert result.returncode == 0
    assert "records were not sent before the process ended" in result.stderr


def test_a_forked_child_sends_its_own_records_and_not_its_parents(service):
    buffer = LogBuffer(service.url, flush_interval=NEVER)
    buffer.log("warm up the connection")
    assert buffer.flush()
    buffer.log("parent before")
    child = os.fork()
    if child == 0:
        buffer.log("child")
        os._exit(0 if buffer.flush(10) and buffer.stats().accepted == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0
    buffer.log("parent after")
    buffer.close()
    assert service.messages == ["warm up the connection", "child", "parent before", "parent after"]


def test_forks_while_threads_log_hang_no_child(service):
    buffer = LogBuffer(service.url, batch_size=20)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            buffer.log("thread")

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for number in range(40):
            child = os.fork()
            if child == 0:
                buffer.log("child", number=number)
                os._exit(0 if buffer.flush(20) else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        buffer.close()
    assert sorted(record["number"] for record in service.records if record["message"] == "child") == list(range(40))


def log_in_child(buffer: LogBuffer) -> None:
    buffer.log("child")


def test_a_child_of_multiprocessing_sends_what_it_logged_last(service):
    buffer = LogBuffer(service.url, flush_interval=NEVER)
    buffer.log("parent")
    process = multiprocessing.get_context("fork").Process(target=log_in_child, args=(buffer,))
    process.start()
    process.join(20)
    buffer.close()
    assert sorted(service.messages) == ["child", "parent"]


# -- configuration


@pytest.mark.parametrize(
    ("sink", "options"),
    [
        ("ftp://host/logs", {}),
        ("localhost:9000", {}),
        ("http:///logs", {}),
        ("http://user:secret@host/logs", {}),
        (None, {}),
        (asyncio.sleep, {}),
        (print, {"headers": {"a": "b"}}),
        (print, {"batch_size": 0}),
        (print, {"flush_interval": -1.0}),
        (print, {"max_bytes": 0}),
        (print, {"in_flight": 0}),
    ],
)
def test_what_cannot_work_is_refused_at_once(sink, options):
    with pytest.raises(RemedyError) as refused:
        LogBuffer(sink, **options)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["http://h/a b", "http://localhost:99999/x", "http://[::1/x", "http://h/ö"])
def test_url_that_no_request_can_be_made_of_is_refused_at_once(url):
    with pytest.raises(RemedyError, match="URL"):
        LogBuffer(url)
