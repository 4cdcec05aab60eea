"""What logging libraries say of the place a log call stands at, and what they raise."""

import logging
import sys
import traceback

import structlog
from loguru import logger

logger.remove()
logger.add(sys.stdout, format="{name}:{function}:{line} {message}", colorize=False)


def work():
    logger.info("here {}", 1)
    logger.opt(depth=1).info("there")
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        logger.exception("failed")
    structlog.get_logger().info("here", number=1)
    try:
        structlog.get_logger().info("event", event="twice")
    except TypeError:
        traceback.print_exc()


def failing(log, method, event):
    raise ValueError(event["event"])


places = structlog.processors.CallsiteParameterAdder(
    [structlog.processors.CallsiteParameter.FUNC_NAME, structlog.processors.CallsiteParameter.LINENO]
)
structlog.configure([places, structlog.processors.StackInfoRenderer(), structlog.processors.JSONRenderer()])
work()
logging.basicConfig(format="%(funcName)s %(lineno)d %(message)s", stream=sys.stdout, level=0)
structlog.configure(
    [structlog.stdlib.filter_by_level, places, structlog.processors.KeyValueRenderer()],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=False,
)
work()
structlog.configure([failing])
try:
    structlog.get_logger().info("text")
except ValueError:
    traceback.print_exc()
