"""structlog and loguru: a log call that waits is one span, at the user's line."""

from __future__ import annotations

from collections.abc import Callable

from microdelay.spans import Span
from microdelay.traces import Recording

Record = Callable[..., Recording]


def logs(made: Recording) -> list[Span]:
    return [span for span in made.spans if span.kind == "log"]


def test_structlog_over_a_logger_of_its_own_and_over_logging(recording: Record) -> None:
    made = recording(
        """
        import asyncio, io, logging, structlog, time
        class Slow(io.StringIO):
            def write(self, text):
                time.sleep(0.002)
                return super().write(text)
        class Waiting(logging.Handler):
            def emit(self, record): time.sleep(0.002)
        def work():
            structlog.configure(logger_factory=structlog.PrintLoggerFactory(Slow()))
            structlog.get_logger().info("secret", token="secret")
            logging.getLogger().addHandler(Waiting())
            structlog.wrap_logger(logging.getLogger("shop")).error("secret")
        work()
        """
    )
    own, stdlib = logs(made)
    assert own.attributes == {"handler": "structlog._output.PrintLogger", "logger": "", "level": "INFO"}
    assert stdlib.attributes == {"handler": "__main__.Waiting", "logger": "shop", "level": "ERROR"}
    assert [span.site and span.site.line for span in (own, stdlib)] == [11, 13]
    assert "secret" not in str([(span.name, span.attributes) for span in made.spans])


def test_loguru_by_sink(recording: Record) -> None:
    made = recording(
        """
        import logging, sys, time
        from loguru import logger
        class Waiting(logging.Handler):
            def emit(self, record): time.sleep(0.002)
        class Stream:
            def write(self, text): time.sleep(0.002)
        def work():
            logger.remove()
            for sink in (Stream(), Waiting(), lambda message: time.sleep(0.002)):
                number = logger.add(sink)
                logger.warning("secret {}", "secret")
                logger.remove(number)
            logger.add("secret.log", enqueue=True)
            logger.info("secret")
            logger.complete()
            logger.remove()
        work()
        """
    )
    assert [span.attributes["handler"] for span in logs(made)[:3]] == [
        "loguru._simple_sinks.StreamSink",
        "__main__.Waiting",
        "loguru._simple_sinks.CallableSink",
    ]
    assert {span.attributes["level"] for span in logs(made)[:3]} == {"WARNING"}
    assert {span.site.line for span in logs(made)[:3] if span.site} == {12}
    assert "secret" not in str([(span.name, span.attributes) for span in made.spans])


def test_a_handler_inside_a_handler_is_one_span(recording: Record) -> None:
    made = recording(
        """
        import logging, logging.handlers, time
        class Waiting(logging.Handler):
            def emit(self, record): time.sleep(0.002)
        def work():
            logger = logging.getLogger("shop")
            logger.addHandler(logging.handlers.MemoryHandler(1, target=Waiting()))
            logger.error("text")
        work()
        """
    )
    (log,) = logs(made)
    assert log.attributes["handler"] == "logging.handlers.MemoryHandler"
