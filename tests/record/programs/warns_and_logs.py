"""Warnings name the caller's line, and logging's own errors show the caller's stack."""

import datetime
import logging
import sqlite3
import time
import warnings

warnings.simplefilter("always")


def from_a_row(cursor, row):
    warnings.warn("in a row factory", stacklevel=2)
    return row


class Slow(logging.Handler):
    def emit(self, record):
        time.sleep(0.001)
        warnings.warn("in a handler", stacklevel=2)
        print(self.format(record))


logging.basicConfig(level=logging.DEBUG, format="%(filename)s:%(lineno)d %(funcName)s %(threadName)s %(message)s")
logging.getLogger().addHandler(Slow())


def work():
    logging.info("%d", "not a number")
    logging.warning("with its stack", stack_info=True)
    logging.debug("plain")


work()
database = sqlite3.connect(":memory:")
database.row_factory = from_a_row
print(database.execute("select ?", (datetime.date(2026, 1, 2),)).fetchall())
