"""Programs as people write them, recorded: of calls that need each other independent is never said."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import INDEPENDENT
from microdelay.diagnose.rule import Finding, rules
from microdelay.traces import assemble, read

PROGRAMS = Path(__file__).parent / "programs"
ANSWER_SECONDS = 0.003
LAST_PAGE = 2


def cases(program: str) -> list[ast.ClassDef]:
    body = ast.parse((PROGRAMS / program).read_text()).body
    kinds = "dependent_", "independent_"
    return [node for node in body if isinstance(node, ast.ClassDef) and node.name.startswith(kinds)]


class Service(BaseHTTPRequestHandler):
    """Answers each path with a value of its own; sets a cookie at /login; fails twice at /flaky; has three pages."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[Counter[str]] = Counter()

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        time.sleep(ANSWER_SECONDS)
        value = hashlib.sha256(self.path.encode()).hexdigest()
        answer = {"path": parts.path.split("/")[1], "next": value[:16], "ok": True}
        if parts.path.startswith("/echo"):
            answer["user"] = parts.path.split("/")[2]
        status = 200
        if parts.path.startswith("/flaky"):
            self.asked[self.path] += 1
            answer["ok"] = self.asked[self.path] > 2
            status = 200 if answer["ok"] or "soft" in query else 503
        if parts.path.startswith("/pages"):
            cursor = query["cursor"][0]
            answer["cursor"] = (
                None if len(cursor) > 5 and cursor.startswith("2") else f"{len(cursor) // 9 + 1}-{value[:8]}"
            )
        body = json.dumps(answer).encode()
        self.send_response(status)
        if parts.path.startswith("/login"):
            self.send_header("Set-Cookie", f"sid={value[16:32]}; Path=/")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET  # noqa: N815  # the names that the standard library wants

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def recorded(program: str, folder: Path, *arguments: str) -> Sequence[Finding]:
    """All that the rule says of a program."""
    path = folder / "twins.mdr"
    subprocess.run([sys.executable, str(PROGRAMS / program), *arguments, str(path)], check=True, timeout=60)
    recording = read(str(path))
    return list(rules()["serial-calls"].find(Case(recording, assemble(recording))))


@pytest.fixture(scope="module")
def found(service: str, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Finding]:
    return recorded("twins.py", tmp_path_factory.mktemp("twins"), service)


@pytest.fixture(scope="module")
def found_of_databases(postgresql: str, tmp_path_factory: pytest.TempPathFactory) -> Sequence[Finding]:
    return recorded("twins_databases.py", tmp_path_factory.mktemp("twins"), postgresql)


def check(case: ast.ClassDef, found: Sequence[Finding]) -> None:
    here = [each for each in found if case.lineno <= each.where.line <= (case.end_lineno or 0)]
    verdicts = [each.dependence.verdict for each in here if each.dependence]
    evidence = [(each.what, each.dependence) for each in here]
    if case.name.startswith("independent"):
        assert verdicts == [INDEPENDENT], evidence
    else:
        assert INDEPENDENT not in verdicts, evidence


def named(case: ast.ClassDef) -> str:
    return re.sub("_", " ", case.name)


@pytest.mark.parametrize("case", cases("twins.py"), ids=named)
def test_twin(case: ast.ClassDef, found: Sequence[Finding]) -> None:
    check(case, found)


@pytest.mark.parametrize("case", cases("twins_databases.py"), ids=named)
def test_twin_of_databases(case: ast.ClassDef, found_of_databases: Sequence[Finding]) -> None:
    check(case, found_of_databases)
