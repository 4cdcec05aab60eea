"""loguru_sink: what becomes of loguru's records."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from loguru import logger

from microdelay import LogBuffer, loguru_sink


@pytest.fixture
def records() -> Iterator[list[dict[str, Any]]]:
    records: list[dict[str, Any]] = []
    logger.remove()
    with LogBuffer(records.extend, flush_interval=3600.0) as buffer:
        logger.add(loguru_sink(buffer), format="{message}", catch=False)
        yield records
        logger.remove()


def test_a_record_comes_with_its_bound_fields_level_and_time(records):
    logger.bind(user=7, level="gold").warning("order {} of {}", 3, "acme", order=3)
    logger.remove()  # sends what is queued
    [record] = records
    assert record.pop("time") > 1.7e9
    assert record == {
        "message": "order 3 of acme",
        "level": "WARNING",
        "logger": __name__,
        "user": 7,
        "level_": "gold",
        "order": 3,
    }


def test_the_time_is_that_of_the_call(records):
    moments: list[float] = []
    logger.add(lambda message: moments.append(message.record["time"].timestamp()))
    logger.info("x")
    logger.remove()
    assert records[0]["time"] == pytest.approx(moments[0], abs=1e-6)


def test_an_exception_comes_with_its_traceback(records):
    try:
        raise ValueError("no such user")
    except ValueError:
        logger.exception("failed")
    logger.opt(exception=True).info("nothing is wrong")
    logger.remove()
    assert records[0]["exception"].endswith("ValueError: no such user")
    assert "exception" not in records[1]


def test_a_level_of_ones_own_keeps_its_name(records):
    logger.log(logger.level("NOTICE", no=27).name, "x")
    logger.remove()
    assert records[0]["level"] == "NOTICE"
