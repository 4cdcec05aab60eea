"""structlog_processor and BufferLoggerFactory: what becomes of structlog's events."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from structlog.processors import JSONRenderer, TimeStamper, add_log_level

from microdelay import BufferLoggerFactory, LogBuffer, structlog_processor


@pytest.fixture
def records() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def buffer(records: list[dict[str, Any]]) -> Iterator[LogBuffer]:
    with LogBuffer(records.extend, flush_interval=3600.0) as buffer:
        yield buffer


@pytest.fixture(params=["the last processor", "the logger"])
def logger(request: pytest.FixtureRequest, buffer: LogBuffer) -> Any:
    """A logger that ends in the buffer, in one of the two ways."""
    before: list[Any] = [structlog.contextvars.merge_contextvars]
    if request.param == "the logger":
        return structlog.wrap_logger(BufferLoggerFactory(buffer)("shop"), processors=before)
    return structlog.wrap_logger(structlog.ReturnLogger(), processors=[*before, structlog_processor(buffer)])


def test_an_event_becomes_a_record_with_what_was_bound(logger, buffer, records):
    items = [1]
    with structlog.contextvars.bound_contextvars(request="r1"):
        assert logger.bind(user=7).warning("order shipped", items=items) is None
    items.append(2)
    buffer.flush()
    [record] = records
    assert record.pop("time") > 1.7e9
    logger_name = record.pop("logger")
    assert logger_name in ("", "shop")
    assert record == {"message": "order shipped", "level": "WARNING", "request": "r1", "user": 7, "items": [1]}


@pytest.mark.parametrize(
    ("method", "level"),
    [("debug", "DEBUG"), ("info", "INFO"), ("warn", "WARNING"), ("error", "ERROR"), ("critical", "CRITICAL")],
)
def test_the_level_is_that_of_the_method(logger, buffer, records, method, level):
    getattr(logger, method)("x")
    buffer.flush()
    assert records[0]["level"] == level


def test_an_exception_becomes_text_however_it_is_given(logger, buffer, records):
    try:
        raise ValueError("no such user")
    except ValueError as error:
        logger.error("given", exc_info=error)
        logger.error("current", exc_info=True)
    logger.error("none", exc_info=True)
    buffer.flush()
    assert [record.get("exception", "").rpartition("\n")[2] for record in records] == [
        "ValueError: no such user",
        "ValueError: no such user",
        "",
    ]


def test_exception_of_the_stdlib_wrapper_is_an_error_with_its_traceback(buffer, records):
    logger = structlog.wrap_logger(
        BufferLoggerFactory(buffer)("shop"),
        processors=[add_log_level],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    logger.debug("too low")
    try:
        raise KeyError(7)
    except KeyError:
        logger.exception("failed")
    logger.log(logging.WARNING, "by number")
    buffer.flush()
    assert [(record["message"], record["level"]) for record in records] == [
        ("failed", "ERROR"),
        ("by number", "WARNING"),
    ]
    assert records[0]["exception"].endswith("KeyError: 7")


def test_a_time_stamp_in_unix_seconds_is_the_time(buffer, records):
    processors = [TimeStamper(fmt=None), lambda *event: event[2] | {"timestamp": 5.25}, structlog_processor(buffer)]
    structlog.wrap_logger(structlog.ReturnLogger(), processors=processors).info("x")
    buffer.flush()
    assert records[0]["time"] == 5.25
    assert "timestamp" not in records[0]


def test_a_time_stamp_as_text_is_kept_as_it_is(buffer, records):
    processors = [TimeStamper(fmt="iso"), structlog_processor(buffer)]
    structlog.wrap_logger(structlog.ReturnLogger(), processors=processors).info("x")
    buffer.flush()
    assert records[0]["timestamp"].endswith("Z")


def test_the_event_goes_on_where_it_is_not_dropped(buffer, records):
    processors = [structlog_processor(buffer, drop=False), JSONRenderer()]
    logger = structlog.wrap_logger(structlog.ReturnLogger(), processors=processors)
    assert json.loads(logger.info("x", user=7)) == {"event": "x", "user": 7}
    buffer.flush()
    assert records[0]["user"] == 7


def test_a_rendered_event_is_a_message(buffer, records):
    logger = structlog.wrap_logger(BufferLoggerFactory(buffer)("shop"), processors=[JSONRenderer()])
    logger.info("x", user=7)
    buffer.flush()
    assert json.loads(records[0]["message"]) == {"event": "x", "user": 7}
    assert records[0]["logger"] == "shop"


def test_configured_for_the_whole_program_names_come_along(buffer, records):
    structlog.configure(processors=[add_log_level], logger_factory=BufferLoggerFactory(buffer))
    try:
        structlog.get_logger("shop").info("x")
    finally:
        structlog.reset_defaults()
    buffer.flush()
    assert (records[0]["logger"], records[0]["level"]) == ("shop", "INFO")
