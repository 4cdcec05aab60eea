"""BufferedHandler.wrapping: a slow handler does in another thread what it did before."""

from __future__ import annotations

import logging
import logging.config
import logging.handlers
import pickle
import socket
import struct
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from microdelay import BufferedHandler
from microdelay.errors import RemedyError

request_id: ContextVar[str] = ContextVar("request_id", default="none")


class Keeping(logging.Handler):
    """Keeps what it was given, and how it looked, and can be held up."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self.seen: list[logging.LogRecord] = []
        self.lines: list[str] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.closed = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.gate.wait(20)
        self.threads.add(threading.get_ident())
        try:
            if record.getMessage() == "poison":
                raise OSError("not taken")
            self.seen.append(record)
            self.lines.append(self.format(record))
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        self.closed += 1
        super().close()


@pytest.fixture
def slow() -> Keeping:
    return Keeping()


@pytest.fixture
def logger(slow: Keeping) -> Iterator[logging.Logger]:
    logger = logging.getLogger("test.wrapping")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    handler = BufferedHandler.wrapping(slow)
    logger.addHandler(handler)
    yield logger
    logger.removeHandler(handler)
    slow.gate.set()
    handler.close()


def record_of(message: str, **attributes: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": message, "levelname": "INFO", "levelno": logging.INFO} | attributes)


def flush(logger: logging.Logger) -> None:
    for handler in logger.handlers:
        handler.flush()


def test_the_caller_does_not_wait_and_the_order_is_kept(logger, slow):
    slow.gate.clear()
    for number in range(1200):  # more than two batches
        logger.info("%d", number)
    assert not slow.seen
    slow.gate.set()
    flush(logger)
    assert [record.getMessage() for record in slow.seen] == [str(number) for number in range(1200)]
    assert threading.get_ident() not in slow.threads


def test_the_record_is_the_one_of_the_call(logger, slow):
    items = [1]
    logger.warning("items %s", items, extra={"user": 7, "inner": {"a": [1, None]}, "odd": {1, 2}.__class__})
    here = threading.current_thread()
    items.append(2)
    flush(logger)
    [record] = slow.seen
    assert record.getMessage() == "items [1]"
    assert (record.levelno, record.levelname, record.name) == (logging.WARNING, "WARNING", "test.wrapping")
    assert (record.funcName, record.filename) == ("test_the_record_is_the_one_of_the_call", "test_wrapping_handler.py")
    assert (record.thread, record.threadName) == (here.ident, here.name)
    assert (vars(record)["user"], vars(record)["inner"]) == (7, {"a": [1, None]})
    assert vars(record)["odd"] == "<class 'set'>"


def test_a_plain_layout_is_applied_with_the_time_of_the_call(logger, slow):
    slow.setFormatter(logging.Formatter("%(created)r %(levelname)s %(name)s %(user)s: %(message)s"))
    record = logger.makeRecord("test.wrapping", logging.INFO, "f.py", 3, "hello %s", ("you",), None, None, {"user": 7})
    logger.handle(record)
    flush(logger)
    assert slow.lines == [f"{record.created!r} INFO test.wrapping 7: hello you"]


def test_the_traceback_is_in_the_line(logger, slow):
    try:
        raise ValueError("no such user")
    except ValueError:
        logger.exception("failed", stack_info=True)
    flush(logger)
    assert slow.lines[0].startswith("failed\nTraceback (most recent call last)")
    assert "ValueError: no such user\nStack (most recent call last)" in slow.lines[0]
    assert slow.seen[0].exc_info is None


def test_a_formatter_of_ones_own_formats_at_the_call(logger, slow):
    class Telling(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "fine"
            return f"[{request_id.get()}] {record.args} {kind}"

    logger.handlers[0].setFormatter(Telling())  # goes to the handler that formats
    token = request_id.set("r1")
    try:
        raise KeyError(7)
    except KeyError:
        logger.exception("x %d", 5)
    finally:
        request_id.reset(token)
    flush(logger)
    assert slow.lines == ["[r1] (5,) KeyError"]


def test_a_format_that_breaks_still_tells_the_message(logger, slow):
    class Breaking(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            raise RuntimeError

    slow.setFormatter(Breaking())
    logger.info("hello")
    flush(logger)
    assert slow.lines == ["hello"]


def test_levels_and_filters_of_both_are_asked_at_the_call(logger, slow):
    def add_request(record: logging.LogRecord) -> bool:
        vars(record)["request"] = request_id.get()
        return "secret" not in record.getMessage()

    slow.addFilter(add_request)
    slow.setLevel(logging.WARNING)
    logger.handlers[0].addFilter(lambda record: "private" not in record.getMessage())
    token = request_id.set("r2")
    for text in ("secret", "private", "open"):
        logger.warning(text)
    logger.info("too low")
    request_id.reset(token)
    flush(logger)
    assert [(record.msg, vars(record)["request"]) for record in slow.seen] == [("open", "r2")]


def test_what_the_handler_cannot_do_is_counted_and_stops_nothing(logger, slow, capfd):
    for text in ("one", "poison", "two"):
        logger.info(text)
    flush(logger)
    assert [record.msg for record in slow.seen] == ["one", "two"]
    assert logger.handlers[0].errors == {"OSError": 1}
    assert "not taken" in capfd.readouterr().err, "the handler reports it as it did before"


def test_a_handler_that_raises_loses_its_own_record_only(capfd):
    seen: list[str] = []

    class Raising(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.msg == "poison":
                raise ZeroDivisionError
            seen.append(record.msg)

    handler = BufferedHandler.wrapping(Raising())
    for text in ("one", "poison", "two"):
        handler.handle(record_of(text))
    handler.close()
    assert seen == ["one", "two"]
    assert handler.errors == {"ZeroDivisionError": 1}


def test_what_the_handler_logs_itself_does_not_go_round(slow):
    logger = logging.getLogger("test.wrapping.round")
    logger.propagate = False
    seen: list[str] = []

    class Talking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())
            logger.warning("sending %s", record.getMessage())

    handler = BufferedHandler.wrapping(Talking())
    logger.addHandler(handler)
    logger.warning("one")
    handler.flush()
    handler.close()
    logger.removeHandler(handler)
    assert seen == ["one"]


def test_closing_hands_over_the_rest_and_closes_the_handler(slow):
    handler = BufferedHandler.wrapping(slow, flush_interval=3600.0)
    handler.handle(record_of("last"))
    handler.close()
    assert [record.msg for record in slow.seen] == ["last"]
    assert slow.closed == 1


def test_a_record_that_is_too_long_arrives_cut(slow):
    handler = BufferedHandler.wrapping(slow, max_record_bytes=2000)
    handler.handle(record_of("x" * 5000, levelname="ERROR", levelno=40, name="n"))
    handler.close()
    [record] = slow.seen
    assert record.getMessage().startswith("xxx")
    assert len(record.getMessage()) < 2000
    assert (record.levelno, record.name) == (40, "n")


def test_a_socket_handler_pickles_what_was_captured():
    with socket.create_server(("127.0.0.1", 0)) as server:
        handler = BufferedHandler.wrapping(logging.handlers.SocketHandler("127.0.0.1", server.getsockname()[1]))
        handler.handle(record_of("hello %s", args=("you",), user=7))
        handler.flush()
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as stream:
            [length] = struct.unpack(">L", stream.read(4))
            received: dict[str, Any] = pickle.loads(stream.read(length))
        handler.close()
    assert (received["msg"], received["user"]) == ("hello you", 7)


def configuration(name: str) -> dict[str, Any]:
    wrapping = {"()": "microdelay.BufferedHandler.wrapping", "handler": "cfg://handlers.slow", "batch_size": 2}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"slow": {"()": Keeping, "level": "INFO"}, name: wrapping},
        "loggers": {"test.wrapped": {"handlers": [name], "level": "DEBUG", "propagate": False}},
    }


def test_dict_config_wraps_by_name():
    logging.config.dictConfig(configuration("slow_buffered"))
    logger = logging.getLogger("test.wrapped")
    [handler] = logger.handlers
    logger.debug("no")
    logger.info("yes")
    logger.removeHandler(handler)
    handler.close()
    assert [record.msg for record in handler.wrapped.seen] == ["yes"]


def test_dict_config_in_the_wrong_order_says_what_to_do():
    with pytest.raises(ValueError, match="a_front") as caught:
        logging.config.dictConfig(configuration("a_front"))
    assert "sorts before" in str(caught.value.__cause__)


def test_what_cannot_be_wrapped_is_refused(slow):
    with pytest.raises(RemedyError, match=r"must be a logging\.Handler, not 7"):
        BufferedHandler.wrapping(7)
    handler = BufferedHandler.wrapping(slow)
    with pytest.raises(RemedyError, match="buffered already"):
        BufferedHandler.wrapping(handler)
    handler.close()
