"""Requests that a program answers: one span each, whatever the server, the framework and the layers between them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from microdelay.diagnose.accounts import accounts
from microdelay.spans import Span
from microdelay.traces import Recording, Trace, assemble, read

Record = Callable[..., Recording]
Execute = Callable[..., tuple[int, str, str]]

COMMAND = Path(sys.executable).with_name("microdelay")

ASK = """
import http.client, socket, threading, time, urllib.error, urllib.request
def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
PORT = free_port()
def ask(path, method="GET"):
    connection = http.client.HTTPConnection("127.0.0.1", PORT)
    connection.request(method, path)
    answer = connection.getresponse()
    print(path, answer.status, answer.read())
    connection.close()
"""

UVICORN = """
def serve(app, asking, **options):
    import uvicorn
    config = uvicorn.Config(app, port=PORT, log_level="critical", loop="asyncio", **options)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started: time.sleep(0.005)
    asking()
    server.should_exit = True
    thread.join()
"""

WSGIREF = """
from wsgiref.simple_server import WSGIRequestHandler, make_server
class Quiet(WSGIRequestHandler):
    def log_message(self, *arguments): pass
    def log_error(self, *arguments): pass
def serve(app, asking):
    with make_server("127.0.0.1", PORT, app, handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        asking()
        server.shutdown()
        thread.join()
"""

FASTAPI = """
import asyncio
from fastapi import APIRouter, BackgroundTasks, FastAPI
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import StreamingResponse
app = FastAPI()
router = APIRouter(prefix="/v1")
@router.get("/items/{item_id}")
async def item(item_id: int):
    await asyncio.gather(asyncio.sleep(0.011), asyncio.create_task(asyncio.sleep(0.012)))
    return item_id
@router.get("/blocking/{name}")
def blocking(name: str):
    time.sleep(0.02)
@app.get("/stream")
async def stream():
    async def chunks():
        for n in range(3):
            await asyncio.sleep(0.01)
            yield b"x"
    return StreamingResponse(chunks())
@app.get("/background")
async def background(tasks: BackgroundTasks):
    async def later(): await asyncio.sleep(0.033)
    tasks.add_task(later)
@app.get("/broken")
async def broken():
    raise ValueError("secret")
app.include_router(router)
below = FastAPI()
@below.get("/deep/{depth}")
async def deep(depth): pass
app.mount("/below/{tenant}", below)
class Middleware(BaseHTTPMiddleware):
    async def __call__(self, *call):
        # Older ones hold an answer back until its background tasks have ended, and put errors into groups.
        around = call[0].get("path") in ("/background", "/broken")
        await (self.app(*call) if around else super().__call__(*call))
    async def dispatch(self, request, call_next):
        return await call_next(request)
app.add_middleware(Middleware)
def asking():
    for path in ("/v1/items/5?q=secret", "/v1/blocking/secret", "/stream", "/background", "/broken", "/secret",
                 "/v1/items/x", "/below/secret/deep/3"):
        ask(path)
    ask("/stream", "FROBNICATE")
"""


def served(recording: Recording) -> list[Span]:
    return [span for span in recording.spans if span.kind == "server"]


def told(recording: Recording) -> list[tuple[str, object]]:
    return [(span.name, span.attributes.get("http.response.status_code")) for span in served(recording)]


def slept(trace: Trace) -> set[float]:
    return {float(span.attributes["seconds"]) for span in trace.spans if span.kind == "sleep"} - {0.0}


@pytest.fixture(scope="module")
def fastapi(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Record the program above once, for several tests."""
    folder = tmp_path_factory.mktemp("fastapi")
    (folder / "program.py").write_text(ASK + UVICORN + FASTAPI + "serve(app, asking)")
    command = [str(COMMAND), "run", "--no-report", "-o", "program.mdr", "program.py"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
    return read(folder / "program.mdr")


def test_fastapi_requests_are_named_by_their_route(fastapi: Recording) -> None:
    assert told(fastapi) == [
        ("GET /v1/items/{item_id}", 200),
        ("GET /v1/blocking/{name}", 200),
        ("GET /stream", 200),
        ("GET /background", 200),
        ("GET /broken", 500),
        ("GET", 404),
        ("GET /v1/items/{item_id}", 422),
        ("GET /below/{tenant}/deep/{depth}", 200),
        ("_OTHER /stream", 405),
    ]
    first = served(fastapi)[0]
    assert first.attributes == {
        "http.request.method": "GET",
        "http.route": "/v1/items/{item_id}",
        "http.response.status_code": 200,
        "url.scheme": "http",
    }
    assert [span.error for span in served(fastapi) if span.error] == ["ValueError"]
    assert "secret" not in repr(served(fastapi))
    assert not fastapi.warnings


def test_each_request_is_a_trace_with_what_ran_for_it(fastapi: Recording) -> None:
    traces = assemble(fastapi)
    assert [trace.name for trace in traces] == [span.name for span in served(fastapi)]
    assert [trace.root for trace in traces] == served(fastapi)
    item, blocking, stream, background, *_ = traces
    assert [slept(trace) for trace in (item, blocking, stream)] == [{0.011, 0.012}, {0.02}, {0.01}]
    assert stream.duration_ns >= 30_000_000
    assert slept(background) == set()  # what runs after the answer was sent
    assert not [span for trace in traces for span in trace.spans if span.kind == "server"]


def test_a_blocking_endpoint_is_work_that_its_request_waits_for(fastapi: Recording) -> None:
    (pause,) = [span for span in fastapi.spans if span.attributes.get("seconds") == 0.02]
    work = fastapi.activities[pause.activity]
    waiting = fastapi.activities[work.parent]
    assert (work.kind, waiting.kind) == ("work", "task")
    assert work.id in {step.cause for step in fastapi.steps[waiting.id]}
    assert 0 < work.created_ns <= work.start_ns < work.end_ns


def test_what_tasks_of_a_request_did_is_what_it_waited_for(fastapi: Recording) -> None:
    _, blocking, stream, *_ = assemble(fastapi)
    for trace in (blocking, stream):  # the middleware waits at an event for the task that does it all
        kept = accounts(fastapi, [trace])
        assert "lock" not in kept
        assert kept["sleep"] >= 18_000_000


def test_calls_that_wait_for_a_worker_thread_wait_for_a_pool(recording: Record) -> None:
    made = recording(
        """
        import anyio, anyio.to_thread, time
        def blocking():
            time.sleep(0.02)
        async def call(limiter):
            await anyio.to_thread.run_sync(blocking, limiter=limiter)
        async def main():
            one = anyio.CapacityLimiter(1)
            async with anyio.create_task_group() as group:
                for _ in range(2):
                    group.start_soon(call, one)
            try:
                await anyio.to_thread.run_sync(int, "x")
            except ValueError as error:
                assert error.__traceback__.tb_next.tb_next.tb_next.tb_next is None, "frames of ours"
        anyio.run(main)
        """
    )
    (waited,) = [span for span in made.spans if span.kind == "pool"]
    assert waited.duration_ns >= 15_000_000
    work = [activity for activity in made.activities.values() if activity.kind == "work"]
    assert [activity.name for activity in work][:2] == ["blocking", "blocking"]
    assert {activity.site.function for activity in work if activity.site} == {"call", "main"}


DJANGO = """
import asyncio, django, sys
from django.conf import settings
settings.configure(SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)
django.setup()
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path
def view(request, number):
    time.sleep(0.011)
    return HttpResponse(str(number))
async def async_view(request, number):
    await asyncio.sleep(0.012)
    return HttpResponse(str(number))
def stream(request):
    def chunks():
        for _ in range(3):
            time.sleep(0.01)
            yield b"x"
    return StreamingHttpResponse(chunks())
def broken(request):
    raise ValueError("secret")
urlpatterns = [
    path("items/<int:number>/", view), path("async/<int:number>", async_view), re_path(r"^old/(?P<number>\\d+)$", view),
    path("api/", include([path("in/<slug:number>", view)])), path("stream", stream), path("broken", broken),
]
def asking():
    for path in ("/items/5/?q=secret", "/async/6", "/old/7", "/api/in/secret", "/stream", "/broken", "/secret"):
        ask(path)
"""

DJANGO_REQUESTS = [
    ("GET /items/<int:number>/", 200),
    ("GET /async/<int:number>", 200),
    ("GET /old/(?P<number>\\d+)$", 200),
    ("GET /api/in/<slug:number>", 200),
    ("GET /stream", 200),
    ("GET /broken", 500),
    ("GET", 404),
]


def test_django_under_wsgi(recording: Record) -> None:
    serving = "from django.core.wsgi import get_wsgi_application\nserve(get_wsgi_application(), asking)\n"
    made = recording(ASK + WSGIREF + DJANGO + serving)
    assert told(made) == DJANGO_REQUESTS
    traces = assemble(made)
    assert [slept(trace) for trace in traces][:5] == [{0.011}, {0.012}, {0.011}, {0.011}, {0.01}]
    assert traces[4].duration_ns >= 30_000_000


def test_django_under_asgi(recording: Record) -> None:
    serving = (
        "from django.core.asgi import get_asgi_application\nserve(get_asgi_application(), asking, lifespan='off')\n"
    )
    made = recording(ASK + UVICORN + DJANGO + serving)
    assert told(made) == DJANGO_REQUESTS
    traces = assemble(made)
    assert [slept(trace) for trace in traces][:5] == [{0.011}, {0.012}, {0.011}, {0.011}, {0.01}]
    assert traces[4].duration_ns >= 30_000_000


def test_flask_and_werkzeug(recording: Record) -> None:
    made = recording(
        ASK
        + """
from flask import Flask, Response
from werkzeug.serving import make_server
app = Flask(__name__)
app.logger.disabled = True
@app.get("/items/<int:number>")
def item(number):
    time.sleep(0.011)
    return {"number": number}
@app.post("/items/<int:number>")
def change(number):
    return ""
@app.get("/stream")
def stream():
    def chunks():
        for _ in range(3):
            time.sleep(0.01)
            yield "x"
    return Response(chunks())
@app.get("/broken")
def broken():
    raise ValueError("secret")
import logging
logging.getLogger("werkzeug").disabled = True
server = make_server("127.0.0.1", PORT, app)
thread = threading.Thread(target=server.serve_forever)
thread.start()
for path in ("/items/5?q=secret", "/stream", "/broken", "/secret"):
    ask(path)
ask("/items/5", "POST")
server.shutdown()
thread.join()
"""
    )
    assert told(made) == [
        ("GET /items/<int:number>", 200),
        ("GET /stream", 200),
        ("GET /broken", 500),
        ("GET", 404),
        ("POST /items/<int:number>", 200),
    ]
    first, second, *_ = assemble(made)
    assert (slept(first), slept(second)) == ({0.011}, {0.01})
    assert second.duration_ns >= 30_000_000
    assert all(0 <= span.cpu_ns < span.duration_ns for span in served(made)[:2])


def test_any_wsgi_application(recording: Record) -> None:
    made = recording(
        ASK
        + WSGIREF
        + """
class Mounted:
    def __call__(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"all"]
mounted = Mounted()
def app(environ, start_response):
    if environ["PATH_INFO"] == "/list":
        return mounted(environ, start_response)
    if environ["PATH_INFO"] == "/broken":
        raise ValueError("secret")
    start_response("201 Created", [("Content-Type", "text/plain")])
    return chunks()
def chunks():
    try:
        for _ in range(3):
            time.sleep(0.01)
            yield b"x"
    finally:
        print("closed")
def asking():
    for path in ("/list", "/generator", "/broken"):
        ask(path)
serve(app, asking)
"""
    )
    assert told(made) == [("GET", 200), ("GET", 201), ("GET", None)]
    assert [span.error for span in served(made)] == ["", "", "ValueError"]
    assert served(made)[1].duration_ns >= 30_000_000


def test_aiohttp_web(recording: Record) -> None:
    made = recording(
        """
        import asyncio, aiohttp
        from aiohttp import web
        async def item(request):
            await asyncio.sleep(0.011)
            return web.Response()
        async def stream(request):
            answer = web.StreamResponse()
            await answer.prepare(request)
            for _ in range(3):
                await asyncio.sleep(0.01)
                await answer.write(b"x")
            return answer
        async def broken(request):
            raise ValueError("secret")
        async def forbidden(request):
            raise web.HTTPForbidden()
        async def connected(request):
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                await socket.close()
            return socket
        async def main():
            app, below = web.Application(), web.Application()
            app.add_routes([
                web.get("/items/{number}", item), web.get("/stream", stream), web.get("/broken", broken),
                web.get("/forbidden", forbidden), web.get("/connected", connected),
            ])
            below.add_routes([web.get("/items/{number}", item)])
            app.add_subapp("/below/", below)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0]
            async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
                for path in "items/5?q=secret", "stream", "broken", "forbidden", "secret", "below/items/6":
                    async with session.get("/" + path) as answer:
                        await answer.read()
                async with session.ws_connect("/connected") as socket:
                    await socket.send_str("x")
                    await socket.receive()
            await runner.cleanup()
        asyncio.run(main())
        """
    )
    assert told(made) == [
        ("GET /items/{number}", 200),
        ("GET /stream", 200),
        ("GET /broken", 500),
        ("GET /forbidden", 403),
        ("GET", 404),
        ("GET /below/items/{number}", 200),
    ]
    traces = assemble(made)
    assert [slept(trace) for trace in traces[:2]] == [{0.011}, {0.01}]
    assert traces[1].duration_ns >= 30_000_000


@pytest.mark.parametrize("workers", [1, 2])
def test_a_server_of_the_command_line_until_it_is_interrupted(workers: int, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text(
        "import asyncio\n"
        "async def app(scope, receive, send):\n"
        "    if scope['type'] == 'lifespan':\n"
        "        while (await receive())['type'] != 'lifespan.shutdown':\n"
        "            await send({'type': 'lifespan.startup.complete'})\n"
        "        return await send({'type': 'lifespan.shutdown.complete'})\n"
        "    await asyncio.sleep(0.01)\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': []})\n"
        "    await send({'type': 'http.response.body', 'body': b'x'})\n"
    )
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.set_inheritable(True)
        command = [str(COMMAND), "run", "--no-report", "-o", "service.mdr", "-m", "uvicorn", "service:app"]
        options = ["--fd", str(listening.fileno()), "--log-level", "critical", "--loop", "asyncio"]
        options += ["--workers", str(workers)]
        environment = os.environ | {"PYTHONPATH": str(tmp_path)}
        with subprocess.Popen(
            [*command, *options], cwd=tmp_path, env=environment, pass_fds=[listening.fileno()]
        ) as server:
            for number in range(3):
                address = f"http://127.0.0.1:{listening.getsockname()[1]}/items/{number}?q=secret"
                assert urllib.request.urlopen(address, timeout=30).read() == b"x"
            server.send_signal(signal.SIGINT)
            server.wait(30)
    made = read(tmp_path / "service.mdr")
    assert not made.warnings
    assert told(made) == [("GET", 200)] * 3
    assert [slept(trace) for trace in assemble(made)] == [{0.01}] * 3


def test_what_servers_and_applications_print_and_answer_is_unchanged(
    program: Callable[..., Path], plainly: Execute, recorded: Execute
) -> None:
    source = (
        ASK.replace("PORT = free_port()", "PORT = 0")
        + """
import asyncio, inspect, io, traceback
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from wsgiref.handlers import SimpleHandler
from wsgiref.validate import validator
async def broken(request): raise ValueError("from the endpoint")
def blocking(request): raise KeyError("from a thread")
app = Starlette(routes=[Route("/broken", broken), Route("/blocking", blocking)])
async def send(message): print(message)
async def receive(): return {"type": "http.request", "body": b"", "more_body": False}
def asgi(path):
    scope = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"", "scheme": "http",
             "client": ("c", 1), "server": ("s", 1), "root_path": "", "http_version": "1.1"}
    try:
        asyncio.run(app(scope, receive, send))
    except Exception:
        print(traceback.format_exc())
asgi("/broken"), asgi("/blocking"), asgi("/missing")
print(inspect.iscoroutinefunction(Starlette.__call__), inspect.signature(Starlette.__call__))
def wsgi(application):
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": "", "SERVER_NAME": "s",
               "SERVER_PORT": "1", "SERVER_PROTOCOL": "HTTP/1.1"}
    out, errors = io.BytesIO(), io.StringIO()
    SimpleHandler(io.BytesIO(), out, errors, environ).run(application)
    print([line for line in out.getvalue().splitlines() if not line.startswith(b"Date")], errors.getvalue())
@validator
def whole(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"whole"]
@validator
def pieces(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one"
    raise ValueError("in the body")
def file(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))
def early(environ, start_response):
    raise ValueError("before the answer")
for application in (whole, pieces, file, early): wsgi(application)
"""
    )
    path = program(source)
    assert recorded(path) == plainly(path)
