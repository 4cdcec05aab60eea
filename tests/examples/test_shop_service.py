"""The FastAPI example: the same with and without the recorder, and what its recording says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import pytest
from tests.examples.running import EXAMPLES, PATIENCE_S, Done, Pair, execute, functions_of

from microdelay.traces import assemble, read

pytest.importorskip("greenlet", reason="SQLAlchemy's asyncio side needs it")

SHOP = EXAMPLES / "shop_service"
REQUESTS = 40
WARM_UP = 20
DRIVE = [sys.executable, str(SHOP / "drive.py"), "--requests", str(REQUESTS)]


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """Start the shop's databases and neighbours once, and give the environment that names them."""
    with tempfile.TemporaryDirectory(prefix="shop-") as folder:
        command = [sys.executable, str(SHOP / "backend.py"), folder]
        surroundings = os.environ | {"XDG_RUNTIME_DIR": folder}
        with subprocess.Popen(
            command, env=surroundings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            yield os.environ | json.loads(process.stdout.readline())
            process.stdin.close()
            process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def alone(environment: dict[str, str]) -> Done:
    """Drive the shop as `python` runs it."""
    return execute(DRIVE, environment)


@pytest.fixture(scope="module", params=["asyncio", "uvloop"])
def pair(
    request: pytest.FixtureRequest, alone: Done, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Pair:
    file = tmp_path_factory.mktemp("shop") / "shop.mdr"
    recorded = execute([*DRIVE, "--loop", request.param, "--record", str(file)], environment)
    assert recorded.returncode == 0, recorded.stderr
    return Pair(alone, recorded, read(file))


def test_recorded_shop_answers_as_it_does_alone(pair: Pair) -> None:
    assert pair.alone.returncode == 0, pair.alone.stderr
    assert pair.alone.stdout.startswith(f"{REQUESTS} requests: {REQUESTS} with status 200; digest ")
    assert pair.recorded.stdout == pair.alone.stdout


def test_nothing_of_it_is_lost(pair: Pair) -> None:
    assert pair.recording.done["dropped"] == 0
    assert pair.recording.done["troubles"] == {}


def test_requests_to_the_neighbours_stand_where_they_are_made(pair: Pair) -> None:
    assert "check_out" in functions_of(pair.recording, "http")


def test_each_request_is_a_trace_of_its_route(pair: Pair) -> None:
    traces = assemble(pair.recording)
    assert len(traces) == WARM_UP + REQUESTS
    assert {trace.name for trace in traces} == {
        "GET /customers/{customer_id}/orders",
        "GET /customers/{customer_id}/cart",
        "POST /checkout",
        "GET /products",
        "GET /reports/turnover",
    }


def test_each_query_stands_where_it_is_made_in_its_request(pair: Pair) -> None:
    places = {
        (trace.name, span.site.function, span.attributes["db.system.name"])
        for trace in assemble(pair.recording)
        for span in trace.spans
        if span.kind == "db" and span.site is not None and "part" not in span.attributes
    }
    assert {
        ("GET /customers/{customer_id}/orders", "order_out", "postgresql"),
        ("GET /customers/{customer_id}/cart", "price_of", "redis"),
        ("POST /checkout", "check_out", "postgresql"),
        ("GET /reports/turnover", "turnover", "postgresql"),
    } <= places
