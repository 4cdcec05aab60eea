"""What the workers of a real gunicorn log arrives once, however they are made and ended."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import textwrap
import urllib.request
from collections import Counter

import pytest

from microdelay import LogBuffer

PATIENCE_S = 30
REQUESTS = 60

APP = """
    import logging, os
    from microdelay import BufferedHandler, LogBuffer

    buffer = LogBuffer(os.environ["LOG_URL"], flush_interval=3600.0, spool=os.environ.get("LOG_SPOOL"))
    logging.basicConfig(level="INFO", handlers=[BufferedHandler(buffer)])

    def app(environ, start_response):
        logging.info("request", extra={"number": int(environ["QUERY_STRING"])})
        start_response("200 OK", [("Content-Length", "0")])
        return [b""]
"""


@pytest.fixture
def gunicorn(service, tmp_path):
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    running: list[subprocess.Popen[bytes]] = []

    def start(*options: str, **environment: str) -> tuple[subprocess.Popen[bytes], str]:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            descriptor = listener.fileno()
            command = [sys.executable, "-m", "gunicorn", "--workers", "2", "--bind", f"fd://{descriptor}", *options]
            environ = {**os.environ, "LOG_URL": service.url, "PYTHONPATH": str(tmp_path), **environment}
            with (tmp_path / "output").open("wb") as output:
                process = subprocess.Popen(
                    [*command, "app:app"],
                    env=environ, pass_fds=[descriptor], start_new_session=True, stdout=output, stderr=output,
                )  # fmt: skip
            running.append(process)
            return process, f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def ask(address: str) -> None:
    for number in range(REQUESTS):
        with urllib.request.urlopen(f"{address}/?{number}", timeout=PATIENCE_S) as answer:
            assert answer.status == 200


def numbers(service) -> Counter[int]:
    return Counter(record["number"] for record in service.records if "number" in record)


ONCE_EACH = Counter(range(REQUESTS))


@pytest.mark.parametrize("options", [(), ("--preload",), ("--preload", "--threads", "2")], ids=" ".join)
def test_what_workers_logged_arrives_once_when_they_are_told_to_end(service, gunicorn, options):
    process, address = gunicorn(*options)
    ask(address)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert numbers(service) == ONCE_EACH


def test_workers_that_end_after_some_requests_leave_nothing_behind(service, gunicorn):
    process, address = gunicorn("--preload", "--max-requests", "20")
    ask(address)
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 0
    assert numbers(service) == ONCE_EACH


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=" ".join)
def test_what_killed_workers_had_in_their_spool_is_sent_by_the_next_start(service, gunicorn, tmp_path, options):
    process, address = gunicorn(*options, LOG_SPOOL=str(tmp_path / "spool"))
    ask(address)
    os.killpg(process.pid, signal.SIGKILL)
    for path in (tmp_path / "spool").iterdir():
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # the worker has let go of it: the signal has reached it
    assert not service.records
    with LogBuffer(service.url, spool=tmp_path / "spool") as heir:
        service.wait_for_records(REQUESTS)
        assert heir.flush(PATIENCE_S)
    assert numbers(service) == ONCE_EACH
