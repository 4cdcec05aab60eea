"""`microdelay run --remedy log-buffer`: an unchanged program stops waiting for its slow log handlers."""

from __future__ import annotations

import os
import pickle
import re
import socket
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).with_name("microdelay")

Run = Callable[..., subprocess.CompletedProcess[str]]

SLOW = """
import logging, sys, threading, time

class Slow(logging.Handler):
    def emit(self, record):
        time.sleep(0.002)
        print(threading.current_thread() is threading.main_thread(), self.format(record), flush=True)

logger = logging.getLogger("shop")
logger.setLevel("INFO")
"""


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(source: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / "shop.py"
        script.write_text(SLOW + textwrap.dedent(source))
        command = [str(COMMAND), "run", "--no-report", "-o", "a.mdr", *options, "shop.py"]
        base = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV", "PYTEST"))}
        return subprocess.run(
            command, cwd=tmp_path, env=base | environment, capture_output=True, text=True, timeout=60, check=False
        )

    return run


def test_a_slow_handler_gets_a_buffer_and_everything_arrives_in_order(run):
    done = run(
        """
        slow = Slow()
        slow.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
        logger.addHandler(slow)
        for number in range(200):
            logger.info("%d", number)
        sys.exit(3)
        """,
        "--remedy",
        "log-buffer",
    )
    assert done.returncode == 3
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert [text for _, text in lines] == [f"INFO {number}" for number in range(200)]
    assert [here for here, _ in lines] == ["True"] * 5 + ["False"] * 195, "five records tell that it is slow"
    said = r"microdelay: log buffer: 195 records of __main__\.Slow went through a buffer, \d+\.\d ms each before\n"
    assert re.fullmatch(said, done.stderr)


def test_a_handler_of_the_network_is_buffered_from_the_first_record(run):
    with socket.create_server(("127.0.0.1", 0)) as server:
        received: list[dict[str, object]] = []

        def serve() -> None:
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as stream:
                while head := stream.read(4):
                    received.append(pickle.loads(stream.read(*struct.unpack(">L", head))))

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        done = run(
            f"""
            import logging.handlers
            logger.addHandler(logging.handlers.SocketHandler("127.0.0.1", {server.getsockname()[1]}))
            logger.warning("order %d", 7, extra={{"customer": "acme"}})
            """,
            "--remedy",
            "log-buffer",
        )
        thread.join(20)
    assert [(each["msg"], each["customer"]) for each in received] == [("order 7", "acme")]
    assert "1 records of logging.handlers.SocketHandler went through a buffer\n" in done.stderr


def test_a_quick_handler_and_one_that_is_buffered_already_are_left_alone(run):
    done = run(
        """
        from microdelay import BufferedHandler
        from logging.handlers import MemoryHandler
        logger.addHandler(logging.NullHandler())
        logger.addHandler(BufferedHandler(lambda batch: None))
        logger.addHandler(MemoryHandler(10))
        for number in range(50):
            logger.info("%d", number)
        print(*(type(handler).__name__ for handler in logger.handlers))
        """,
        "--remedy",
        "log-buffer",
    )
    assert done.stdout == "NullHandler BufferedHandler MemoryHandler\n"
    assert done.stderr == "microdelay: log buffer: no slow handler of logging was found, so none got a buffer\n"


def test_flushing_and_closing_the_handler_hands_over_what_waits(run):
    done = run(
        """
        slow = Slow()
        logger.addHandler(slow)
        for number in range(20):
            logger.info("%d", number)
        slow.flush()
        print("flushed")
        logger.info("last")
        logger.removeHandler(slow)
        slow.close()
        print("closed")
        """,
        "--remedy",
        "log-buffer",
    )
    texts = [line.rpartition(" ")[2] for line in done.stdout.splitlines()]
    assert texts == [*map(str, range(20)), "flushed", "last", "closed"]


def test_the_end_of_the_program_waits_for_a_handler_that_is_far_behind(run):
    done = run(
        """
        class Slower(Slow):
            def emit(self, record):
                time.sleep(0.04)  # 6 s in all: longer than a buffer's end takes by default
                super().emit(record)
        logger.addHandler(Slower())
        for number in range(150):
            logger.info("%d", number)
        """,
        "--remedy",
        "log-buffer",
    )
    assert [line.rpartition(" ")[2] for line in done.stdout.splitlines()] == [str(number) for number in range(150)]


def test_what_fails_in_the_handler_is_reported_as_before_and_counted(run):
    done = run(
        """
        class Failing(Slow):
            def emit(self, record):
                time.sleep(0.002)
                try:
                    raise OSError("no disk")
                except OSError:
                    self.handleError(record)
        logger.addHandler(Failing())
        for number in range(8):
            logger.info("%d", number)
        """,
        "--remedy",
        "log-buffer",
    )
    assert done.stderr.count("OSError: no disk") == 8
    assert "3 of them failed in the handler" in done.stderr


def test_without_the_option_nothing_is_buffered(run):
    done = run(
        """
        logger.addHandler(Slow())
        for number in range(10):
            logger.info("%d", number)
        """
    )
    assert done.stdout == "".join(f"True {number}\n" for number in range(10))
    assert done.stderr == ""


def test_a_remedy_that_is_not_known_is_said(run):
    assert "invalid choice: 'luck'" in run("", "--remedy", "luck").stderr
    done = run("print('runs')", MICRODELAY_REMEDY="luck")
    assert done.stdout == "runs\n"
    assert "microdelay: not recording: MICRODELAY_REMEDY=luck is not known; known: log-buffer" in done.stderr
