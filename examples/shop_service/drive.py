"""Load for the shop: starts it with all that it needs, asks it for N things, K at a time, and stops it.

    python drive.py --requests 300 --concurrency 6 [--loop uvloop]
    python drive.py --record shop.mdr            the shop runs under `microdelay run`, and is recorded into that file

What is asked depends on N alone, and what is answered too: the digest says whether two runs did the same.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import services

SERVE = Path(__file__).with_name("serve.py")
SEED = 20_251_203
WARM_UP = 20
STOP_TIMEOUT = 20.0  # seconds

Asked = tuple[str, str, Any]


def requests_of(count: int) -> list[Asked]:
    """Methods, paths and bodies; who checks out is not asked for his orders, so the order of answers is no matter."""
    dice = random.Random(SEED)
    return [dice.choices(KINDS, weights=SHARES)[0](dice) for _ in range(count)]


def orders(dice: random.Random) -> Asked:
    return "GET", f"/customers/{dice.randint(1, 400)}/orders", None


def cart(dice: random.Random) -> Asked:
    return "GET", f"/customers/{dice.randint(1, 400)}/cart", None


def checkout(dice: random.Random) -> Asked:
    return "POST", "/checkout", {"customer_id": dice.randint(500, 600), "product_ids": dice.sample(range(1, 300), 3)}


def products(dice: random.Random) -> Asked:
    return "GET", "/products", None


def turnover(dice: random.Random) -> Asked:
    first = dice.randint(1, 390)
    return "GET", f"/reports/turnover?customer_from={first}&customer_to={first + 3}", None


KINDS = (orders, cart, checkout, products, turnover)
SHARES = (30, 30, 20, 10, 10)


async def drive(address: str, requests: list[Asked], concurrency: int) -> tuple[str, list[float]]:
    """Asks for everything, and gives a digest of the answers and how long each took."""
    waiting = iter(enumerate(requests))
    answers: dict[int, bytes] = {}
    statuses: Counter[int] = Counter()
    seconds: list[float] = []

    async def worker(session: aiohttp.ClientSession) -> None:
        for number, (method, path, body) in waiting:
            begun = time.perf_counter()
            async with session.request(method, address + path, json=body) as answer:
                answers[number] = await answer.read()
            seconds.append(time.perf_counter() - begun)
            statuses[answer.status] += 1

    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(worker(session) for _ in range(concurrency)))
    digest = hashlib.sha256(b"".join(answers[number] for number in range(len(requests)))).hexdigest()[:16]
    counted = ", ".join(f"{count} with status {status}" for status, count in sorted(statuses.items()))
    return f"{len(requests)} requests: {counted}; digest {digest}", seconds


@contextmanager
def serving(loop: str, record: str) -> Iterator[str]:
    recorder = [str(Path(sys.executable).with_name("microdelay")), "run", "--no-report", "-o", record]
    command = [*(recorder if record else [sys.executable]), str(SERVE), "--loop", loop]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise RuntimeError("the shop did not start: see its error above")
        yield address
        process.send_signal(signal.SIGINT)
        if process.wait(STOP_TIMEOUT):
            raise RuntimeError(f"the shop ended with status {process.returncode}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=300, help="(default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio", help="(default: %(default)s)")
    parser.add_argument("--record", default="", metavar="FILE", help="record the shop into FILE")
    arguments = parser.parse_args()
    with services.available(), serving(arguments.loop, arguments.record) as address:
        asyncio.run(drive(address, requests_of(WARM_UP), arguments.concurrency))
        begun = time.perf_counter()
        said, seconds = asyncio.run(drive(address, requests_of(arguments.requests), arguments.concurrency))
        elapsed = time.perf_counter() - begun
    print(said)
    print(
        f"{len(seconds) / elapsed:.0f} requests/s, median {1000 * statistics.median(seconds):.0f} ms, "
        f"slowest {1000 * max(seconds):.0f} ms",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
