"""A service for the programs beside it: `GET /any?ms=20&status=503&size=100000`; prints its address when it is ready.

`fail=3` fails the first three requests of each path with `status`, `slow=20` makes every 20th take `slow_ms`.
"""

from __future__ import annotations

import gzip
import json
import sys
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

seen: Counter[str] = Counter()


class Handler(BaseHTTPRequestHandler):
    """Answers as the query asks."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self) -> None:
        """Wait and answer."""
        parts = urlsplit(self.path)
        asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
        seen[parts.path] += 1
        number = seen[parts.path]
        ms = float(asked.get("ms", 20))
        if number % int(asked.get("slow", 10**9)) == 0:
            ms = float(asked["slow_ms"])
        time.sleep(ms / 1000)
        status = int(asked.get("status", 200))
        if "fail" in asked and (number - 1) % (int(asked["fail"]) + 1) == int(asked["fail"]):
            status = 200
        size = int(asked.get("size", 0))
        body = json.dumps({
            "path": parts.path, "number": number,
            "rows": [{"id": each, "name": f"name {each}", "note": "x" * 40} for each in range(size // 80)],
        }).encode()  # fmt: skip
        headers = {"Content-Type": "application/json"}
        if asked.get("gzip"):
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_POST(self) -> None:
        """Read and answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.endswith("/chat/completions"):
            self._chat(json.loads(body))
        else:
            self.do_GET()

    def _chat(self, asked: dict[str, object]) -> None:
        """Ask for three tools, then answer with what they gave."""
        time.sleep(0.03)
        messages = asked["messages"]
        assert isinstance(messages, list)
        calls = [
            {"id": f"c{each}", "type": "function", "function": {"name": name, "arguments": '{"user": 7}'}}
            for each, name in enumerate(("weather", "stock", "crm"))
        ]
        done = messages[-1]["role"] == "tool"
        message = {"role": "assistant", "content": "done"} if done else {"role": "assistant", "tool_calls": calls}
        reason = "stop" if done else "tool_calls"
        body = json.dumps({"model": "gpt", "choices": [{"message": message, "finish_reason": reason}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sys.stdout.write(f"http://127.0.0.1:{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()
