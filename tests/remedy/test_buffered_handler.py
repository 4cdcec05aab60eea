"""BufferedHandler: what becomes of a logging record, and of the handler's lock."""

from __future__ import annotations

import io
import logging
import logging.config
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from microdelay import BufferedHandler, LogBuffer
from microdelay.errors import RemedyError


@pytest.fixture
def records() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def handler(records: list[dict[str, Any]]) -> Iterator[BufferedHandler]:
    handler = BufferedHandler(records.extend)
    yield handler
    handler.close()


@pytest.fixture
def logger(handler: BufferedHandler) -> Iterator[logging.Logger]:
    logger = logging.getLogger("test.buffered_handler")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)


def test_a_record_becomes_an_object(logger, handler, records):
    logger.info("user %d of %s", 7, "acme")
    handler.flush()
    [record] = records
    assert isinstance(record.pop("time"), float)
    assert record == {"message": "user 7 of acme", "level": "INFO", "logger": "test.buffered_handler"}


def test_extra_fields_come_along_and_lose_nothing_to_ours(logger, handler, records):
    logger.info("x", extra={"user": 7, "level": "gold", "time": "noon"})
    handler.flush()
    assert records[0]["user"] == 7
    assert (records[0]["level"], records[0]["level_"], records[0]["time_"]) == ("INFO", "gold", "noon")


def test_an_exception_comes_with_its_traceback_and_its_notes(logger, handler, records):
    try:
        raise ValueError("no such user")
    except ValueError as error:
        error.add_note("user 7")
        logger.exception("failed", stack_info=True)
    handler.flush()
    assert "in test_an_exception_comes" in records[0]["exception"]
    assert records[0]["exception"].endswith("ValueError: no such user\nuser 7")
    assert records[0]["stack"].startswith("Stack (most recent call last)")


def test_without_an_exception_there_is_none(logger, handler, records):
    logger.error("x", exc_info=True)
    handler.flush()
    assert "exception" not in records[0]


def test_arguments_that_do_not_fit_are_said_instead_of_lost(handler, records):
    handler.handle(logging.makeLogRecord({"msg": "user %d", "args": ("seven",)}))
    handler.flush()
    assert records[0]["message"].startswith("user %d ('seven',) (not formatted: TypeError(")


def test_arguments_are_taken_at_the_call(logger, handler, records):
    items = [1]
    logger.info("items %s", items)
    items.append(2)
    handler.flush()
    assert records[0]["message"] == "items [1]"


def test_level_and_filter_work_and_a_layout_is_left_to_the_fields(logger, handler, records):
    handler.setLevel(logging.WARNING)
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logger.info("too low")
    logger.warning("secret")
    logger.warning("open")
    handler.flush()
    assert [record["message"] for record in records] == ["open"], "level and logger have fields of their own"


def test_a_formatter_that_redacts_is_used_for_the_traceback_too(logger, handler, records):
    class Redacting(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            return record.getMessage().replace("4711", "****")

        def formatException(self, ei: Any) -> str:  # noqa: N802
            return super().formatException(ei).replace("4711", "****")

    handler.setFormatter(Redacting())
    try:
        raise ValueError("card 4711")
    except ValueError:
        logger.exception("card 4711")
    handler.flush()
    assert records[0]["message"] == "card ****"
    assert records[0]["exception"].endswith("ValueError: card ****")


def test_dict_config_knows_it(service):
    config = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"remote": {"class": "microdelay.BufferedHandler", "sink": service.url, "batch_size": 2}},
        "loggers": {"test.configured": {"handlers": ["remote"], "level": "INFO"}},
    }
    logging.config.dictConfig(config)
    logger = logging.getLogger("test.configured")
    logger.info("one")
    logger.info("two")
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()
    assert service.messages == ["one", "two"]


def test_handlers_may_share_a_buffer_which_closing_one_leaves_open():
    records: list[dict[str, Any]] = []
    with LogBuffer(records.extend) as buffer:
        handler = BufferedHandler(buffer, level="INFO")
        handler.handle(logging.makeLogRecord({"msg": "one"}))
        handler.close()
        assert [record["message"] for record in records] == ["one"]
        buffer.log("two")
    assert [record["message"] for record in records] == ["one", "two"]
    with pytest.raises(RemedyError, match="batch_size"):
        BufferedHandler(buffer, batch_size=3)


def test_a_slow_sink_holds_up_no_thread_that_logs():
    entered, leave = threading.Event(), threading.Event()

    def sink(_: object) -> None:
        entered.set()
        leave.wait(20)

    handler = BufferedHandler(sink, batch_size=1)
    handler.handle(logging.makeLogRecord({"msg": "one"}))
    assert entered.wait(20)
    handler.acquire()  # as logging.shutdown does
    try:
        thread = threading.Thread(target=handler.handle, args=(logging.makeLogRecord({"msg": "two"}),))
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    finally:
        handler.release()
        leave.set()
        handler.close()


def test_logging_shutdown_sends_the_rest_at_the_end_of_the_process(service, run_script):
    result = run_script(
        """
        import atexit, logging, sys
        atexit.register(logging.warning, "at exit")
        from microdelay import BufferedHandler
        logging.basicConfig(level="INFO", handlers=[BufferedHandler(sys.argv[1], flush_interval=3600.0)])
        logging.info("one")
        """,
        service.url,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert service.messages == ["one", "at exit"]


def test_a_new_configuration_does_not_wait_for_a_sink_that_logs():
    records: list[dict[str, Any]] = []
    entered, go = threading.Event(), threading.Event()

    def sink(batch: list[dict[str, Any]]) -> None:
        entered.set()
        go.wait(20)
        logging.getLogger(f"test.new.{len(records)}").debug("needs the lock of logging")
        records.extend(batch)

    logger = logging.getLogger("test.reconfigured")
    handlers = {"own": {"class": "microdelay.BufferedHandler", "sink": sink, "batch_size": 1, "exit_timeout": 3600.0}}
    loggers = {logger.name: {"handlers": ["own"], "level": "INFO"}}
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "handlers": handlers, "loggers": loggers}
    )
    [handler] = logger.handlers
    buffer = handler.buffer
    logger.info("one")
    assert entered.wait(20)
    go.set()
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False})
    assert buffer.flush(20)
    assert [record["message"] for record in records] == ["one"]


def test_a_logger_adapter_adds_its_fields(logger, handler, records):
    logging.LoggerAdapter(logger, {"user": 7}).info("hello")
    handler.flush()
    assert records[0]["user"] == 7


def test_behind_a_queue_handler_it_gets_the_records_too(handler, records):
    import queue
    from logging.handlers import QueueHandler, QueueListener

    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    listener = QueueListener(waiting, handler)
    listener.start()
    QueueHandler(waiting).handle(logging.makeLogRecord({"msg": "x %d", "args": (1,)}))
    listener.stop()
    handler.flush()
    assert records[0]["message"] == "x 1"


def test_a_record_that_lost_an_attribute_keeps_its_extra_fields(handler, records):
    record = logging.makeLogRecord({"msg": "x", "user": 7, "customer": "acme"})
    del record.thread
    handler.handle(record)
    handler.flush()
    assert (records[0]["user"], records[0]["customer"]) == (7, "acme")


def test_a_record_of_another_class_makes_its_message_itself(handler, records):
    class Braces(logging.LogRecord):
        def getMessage(self) -> str:  # noqa: N802
            return self.msg.format(*self.args)

    handler.handle(Braces("shop", logging.INFO, "f.py", 1, "order {}", (7,), None))
    handler.flush()
    assert (records[0]["message"], records[0]["logger"]) == ("order 7", "shop")


def test_extra_fields_come_along_whatever_another_handler_left_on_the_record(logger, handler, records):
    earlier = logging.StreamHandler(io.StringIO())
    earlier.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.handlers.insert(0, earlier)
    for number in range(3):
        logger.info("user %d", number, extra={"city": "Rome"})
    handler.flush()
    assert [set(record) for record in records] == [{"time", "message", "level", "logger", "city"}] * 3


def test_a_subclass_that_emits_otherwise_does_so_for_every_record(records):
    class Loud(BufferedHandler):
        def emit(self, record: logging.LogRecord) -> None:
            record.msg = record.msg.upper()
            super().emit(record)

    handler = Loud(records.extend)
    for _ in range(3):
        handler.handle(logging.makeLogRecord({"msg": "user"}))
    handler.close()
    assert [record["message"] for record in records] == ["USER"] * 3
