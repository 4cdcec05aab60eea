"""What a log call costs, and what arrives: LogBuffer beside the ways in which people log today.

    .venv/bin/python benchmarks/log_buffer.py [--rounds 3] [--only call|cold|hung|burst|lag|memory] [--with NAME …]

Every measurement is a process of its own, and the contenders take turns; the tables show medians over the rounds, and
how many times ours. The service is one more process, which reads and counts, or hangs.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import logging
import logging.handlers
import os
import queue
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit

BATCH = 1000
BURST = 50_000
PACED_CALLS = 4000
BUSY_CALLS = 20_000
PER_TICK = 8  # log calls every millisecond: 8,000 a second
LAG_S = 4.0
MILLION = 1_000_000
MEASURE_S = 25.0  # after this the memory test stops logging

FIELDS = {"user": "u-1234", "order": 17, "paid": True, "price": 12.5, "city": "Rome"}

Call = Callable[[int], None]


# -- the service


def serve(hung: bool) -> None:
    """Count what comes, in one thread per connection; say the port on stdout, and the count at each line on stdin."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    print(listener.getsockname()[1], flush=True)

    def talk(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            while lines.readline():
                length = 0
                while (line := lines.readline().strip()) != b"":
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                lines.read(length)
                if hung:
                    time.sleep(3600)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    def accept() -> None:
        while True:
            threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()


# -- the contenders: each gives the two calls, and what waits until all is sent


class Contender:
    """`plain` logs a message, `five` one with five fields, `finish` waits until everything has arrived."""

    def __init__(self, url: str) -> None:
        self.url = url

    def plain(self, number: int) -> None: ...
    def five(self, number: int) -> None: ...
    def finish(self) -> None: ...


class Ours(Contender):
    def __init__(self, url: str, **options: Any) -> None:
        from microdelay import LogBuffer

        self.buffer = LogBuffer(url, batch_size=BATCH, **options)

    def plain(self, number: int) -> None:
        self.buffer.log("order shipped to the customer")

    def five(self, number: int) -> None:
        self.buffer.log("order shipped to the customer", **FIELDS)

    def finish(self) -> None:
        self.buffer.close(60)


class OursSpool(Ours):
    def __init__(self, url: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        super().__init__(url, spool=self.folder.name)


class OursFull(Ours):
    """What `when_full` says is what happens to most of a million records."""

    def __init__(self, url: str, when_full: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        spool = {"spool": self.folder.name} if when_full == "spill" else {}
        # To wait a second for each record would take days.
        super().__init__(url, when_full=when_full, max_bytes=16 << 20, block_timeout=1e-5, **spool)


class Stdlib(Contender):
    """A logger with one handler that does nothing."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.logger = logging.getLogger("benchmark")
        self.logger.propagate = False
        self.logger.setLevel("INFO")
        self.logger.addHandler(self.handler())

    def handler(self) -> logging.Handler:
        return logging.NullHandler()

    def plain(self, number: int) -> None:
        self.logger.info("order %d shipped to the customer", number)

    def five(self, number: int) -> None:
        self.logger.info("order %d shipped to the customer", number, extra=FIELDS)


class OursHandler(Stdlib):
    def handler(self) -> logging.Handler:
        from microdelay import BufferedHandler

        self.buffered = BufferedHandler(self.url, batch_size=BATCH)
        return self.buffered

    def finish(self) -> None:
        self.buffered.close()


class Poster:
    """Posts lists of records as JSON over one kept connection."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=10)

    def post(self, records: list[Any]) -> None:
        self.connection.request("POST", "/logs", json.dumps(records).encode(), {"Content-Type": "application/json"})
        self.connection.getresponse().read()


class BatchHandler(logging.Handler):
    """Behind a QueueListener: what people write to send batches."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.poster, self.records = Poster(url), []

    def emit(self, record: logging.LogRecord) -> None:
        plain = {
            "time": record.created,
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        plain.update({name: getattr(record, name) for name in FIELDS if hasattr(record, name)})
        self.records.append(plain)
        if len(self.records) >= BATCH:
            self.flush()

    def flush(self) -> None:
        if self.records:
            self.poster.post(self.records)
            self.records = []


class Queue(Stdlib):
    def handler(self) -> logging.Handler:
        waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.target = BatchHandler(self.url)
        self.listener = logging.handlers.QueueListener(waiting, self.target)
        self.listener.start()
        return logging.handlers.QueueHandler(waiting)  # type: ignore[arg-type]

    def finish(self) -> None:
        self.listener.stop()
        self.target.flush()


class Structlog(Queue):
    def __init__(self, url: str) -> None:
        import structlog

        super().__init__(url)
        structlog.configure(
            processors=[
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(),
                structlog.processors.JSONRenderer(),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
            logger_factory=lambda *_: self.logger,
            cache_logger_on_first_use=True,
        )
        self.log = structlog.get_logger()

    def plain(self, number: int) -> None:
        self.log.info("order shipped to the customer")

    def five(self, number: int) -> None:
        self.log.info("order shipped to the customer", **FIELDS)


class OpenTelemetry(Stdlib):
    def handler(self) -> logging.Handler:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

        self.provider = LoggerProvider()
        exporter = OTLPLogExporter(endpoint=self.url, timeout=10)
        self.provider.add_log_record_processor(BatchLogRecordProcessor(exporter, max_queue_size=2 * BURST))
        return LoggingHandler(logger_provider=self.provider)

    def finish(self) -> None:
        self.provider.shutdown()


class Loguru(Contender):
    def __init__(self, url: str) -> None:
        import loguru

        self.poster, self.records = Poster(url), []
        self.logger = loguru.logger
        self.logger.remove()
        self.logger.add(self.sink, enqueue=True)

    def sink(self, message: Any) -> None:
        record = message.record
        self.records.append({"time": record["time"].timestamp(), "message": record["message"], **record["extra"]})
        if len(self.records) >= BATCH:
            self.flush()

    def flush(self) -> None:
        self.poster.post(self.records)
        self.records = []

    def plain(self, number: int) -> None:
        self.logger.info(f"order {number} shipped to the customer")

    def five(self, number: int) -> None:
        self.logger.bind(**FIELDS).info("order {} shipped to the customer", number)

    def finish(self) -> None:
        self.logger.remove()
        if self.records:
            self.flush()


class Naive(Contender):
    """An asyncio queue and a task that sends batches; reached from other threads through the loop."""

    def __init__(self, url: str) -> None:
        self.poster, self.loop = Poster(url), asyncio.new_event_loop()
        self.queue: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.ending = False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self.ship())

    async def ship(self) -> None:
        while not self.ending or not self.queue.empty():
            batch: list[dict[str, Any]] = []
            with suppress(asyncio.TimeoutError):
                batch.append(await asyncio.wait_for(self.queue.get(), 0.1))
            while len(batch) < BATCH and not self.queue.empty():
                batch.append(self.queue.get_nowait())
            if batch:
                await asyncio.to_thread(self.poster.post, batch)

    def plain(self, number: int) -> None:
        record = {"time": time.time(), "message": "order shipped to the customer"}
        self.loop.call_soon_threadsafe(self.queue.put_nowait, record)

    def five(self, number: int) -> None:
        record = {"time": time.time(), "message": "order shipped to the customer", **FIELDS}
        self.loop.call_soon_threadsafe(self.queue.put_nowait, record)

    def finish(self) -> None:
        self.loop.call_soon_threadsafe(lambda: setattr(self, "ending", True))
        self.thread.join(60)


CONTENDERS: dict[str, type[Contender]] = {
    "log()": Ours,
    "log(), spool": OursSpool,
    "BufferedHandler": OursHandler,
    "logging, no work": Stdlib,
    "naive asyncio": Naive,
    "QueueHandler": Queue,
    "structlog": Structlog,
    "OpenTelemetry": OpenTelemetry,
    "loguru enqueue": Loguru,
}


WHEN_FULL: dict[str, Callable[[str], Contender]] = {
    f"log(), {policy}, 16 MiB": partial(OursFull, when_full=policy)
    for policy in ("drop-newest", "drop-oldest", "drop-debug", "block", "spill")
}
"""Measured besides, where memory is."""


# -- the measurements, each in a process of its own


def time_calls(call: Call, pause_s: float = 0.0002, calls: int = PACED_CALLS) -> dict[str, float]:
    """Each call by itself, µs."""
    took = []
    for number in range(calls):
        start = time.perf_counter_ns()
        call(number)
        took.append(time.perf_counter_ns() - start)
        if pause_s:
            time.sleep(pause_s)
    took.sort()
    mean = statistics.fmean(took) / 1e3  # of ours, one call in a hundred encodes for the others
    return {"p50": took[len(took) // 2] / 1e3, "mean": mean, "p99.9": took[int(len(took) * 0.999)] / 1e3}


def call_plain_and_five(contender: Contender) -> dict[str, float]:
    """Calls one after the other."""
    plain, five = (time_calls(each, 0, BUSY_CALLS) for each in (contender.plain, contender.five))
    contender.finish()
    return {
        "plain p50 µs": plain["p50"],
        "plain mean µs": plain["mean"],
        "5 fields p50 µs": five["p50"],
        "5 fields mean µs": five["mean"],
    }


def cold_call(contender: Contender) -> dict[str, float]:
    """Calls 0.2 ms apart: the processor's caches hold other things by then."""
    plain, five = time_calls(contender.plain), time_calls(contender.five)
    contender.finish()
    return {"cold p50 µs": plain["p50"], "cold 5 fields p50 µs": five["p50"]}


def call_while_hung(contender: Contender) -> dict[str, float]:
    return {"p99.9 µs": time_calls(contender.plain)["p99.9"]}


def burst(contender: Contender) -> dict[str, float]:
    """Log as fast as can be, and wait until all has arrived."""
    start, cpu = time.perf_counter(), time.process_time()
    for number in range(BURST):
        contender.plain(number)
    contender.finish()
    took, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {"records/s": BURST / took, "CPU µs/record": cpu / BURST * 1e6}


def lag(contender: Contender | None) -> dict[str, float]:
    """How late a ticker of 1 ms is in an event loop whose program logs at each tick."""
    late: list[float] = []

    async def main() -> None:
        due = time.perf_counter() + 0.001
        end = due + LAG_S
        number = 0
        while due < end:
            await asyncio.sleep(max(due - time.perf_counter(), 0.0))
            late.append(time.perf_counter() - due)
            due = max(due + 0.001, time.perf_counter())
            for _ in range(PER_TICK if contender else 0):
                contender.plain(number)  # type: ignore[union-attr]
                number += 1

    asyncio.run(main())
    if contender:
        contender.finish()
    late.sort()
    return {"lag p99 µs": late[int(len(late) * 0.99)] * 1e6}


def memory(contender: Contender) -> dict[str, float]:
    """What a million records take of the memory while nobody takes them."""
    contender.plain(0)
    before, start = resident_mb(), time.perf_counter()
    number = 0
    while number < MILLION and time.perf_counter() - start < MEASURE_S:
        for _ in range(1000):
            contender.five(number)
            number += 1
    took, grown = time.perf_counter() - start, resident_mb() - before
    numbers = {"MB": grown, "records": number, "µs/call": took / number * 1e6}
    if isinstance(contender, Ours):
        stats = contender.buffer.stats()
        # The first record is the one that `before` was measured after.
        numbers["not counted"] = number + 1 - stats.queued - sum(stats.lost.values())
    return numbers


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


MEASUREMENTS: dict[str, tuple[Callable[..., dict[str, float]], bool]] = {
    "call": (call_plain_and_five, False),
    "cold": (cold_call, False),
    "hung": (call_while_hung, True),
    "burst": (burst, False),
    "lag": (lag, False),
    "memory": (memory, True),
}


def measure_here(what: str, name: str, url: str) -> None:
    """Print the numbers, and leave without a word more: what hangs must not hold up the rest."""
    measure, _ = MEASUREMENTS[what]
    contender = None if name == "bare loop" else (CONTENDERS | WHEN_FULL)[name](url)
    print(json.dumps(measure(contender)), flush=True)
    os._exit(0)


def main() -> None:
    """Run the rounds and print a table for each measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=MEASUREMENTS, action="append")
    parser.add_argument("--with", dest="names", choices=CONTENDERS, action="append")
    parser.add_argument("--serve", choices=("well", "hung"), help=argparse.SUPPRESS)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        return serve(given.serve == "hung")
    if given.measure:
        return measure_here(*given.measure)
    for what in given.only or MEASUREMENTS:
        besides = {"lag": ["bare loop"], "memory": list(WHEN_FULL)}.get(what, [])
        names = [*besides, *(given.names or CONTENDERS)]
        show(what, names, given.rounds)
    return None


def show(what: str, names: list[str], rounds: int) -> None:
    """Measure all in turns and print the medians, with how many times ours."""
    numbers: dict[tuple[str, str], list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name in names:
            for column, value in run(what, name).items():
                numbers[name, column].append(value)
    columns = list(dict.fromkeys(column for _, column in numbers))
    print(f"\n{what:27}" + "".join(f"{column:>18}{'':8}" for column in columns))
    for name in names:
        cells = ""
        for column in columns:
            mine = statistics.median(numbers.get((name, column)) or [float("nan")])
            ours = statistics.median(numbers.get((next(iter(CONTENDERS)), column)) or [float("nan")])
            cells += f"{mine:18,.1f}" + (f"{mine / ours:7.2f}x" if ours else " " * 8)
        print(f"{name:27}{cells}", flush=True)


def run(what: str, name: str) -> dict[str, float]:
    """One measurement of one contender against a service of its own; nothing when it does not come back."""
    me = [sys.executable, __file__]
    with subprocess.Popen(
        [*me, "--serve", "hung" if MEASUREMENTS[what][1] else "well"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as service:
        assert service.stdout is not None
        url = f"http://127.0.0.1:{int(service.stdout.readline())}/logs"
        try:
            done = subprocess.run(
                [*me, "--measure", what, name, url],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=120,
                check=False,
            )
            return dict(json.loads(done.stdout or "{}"))
        except subprocess.TimeoutExpired:
            return {}
        finally:
            service.kill()


if __name__ == "__main__":
    main()
