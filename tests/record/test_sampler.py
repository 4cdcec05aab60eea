"""The sampler: waits that no probe knows, the lines that use the processor, and a program that does not notice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from microdelay.spans import UNKNOWN
from microdelay.traces import Recording

Record = Callable[..., Recording]
MS = 1_000_000


def unknown(made: Recording, name: str) -> list[tuple[str, int]]:
    found = [span for span in made.spans if span.kind == UNKNOWN and span.name.startswith(name)]
    return [(span.site.function, round(span.duration_ns / MS)) for span in found if span.site is not None]


def test_native_client_waits_at_the_users_line(recording: Record) -> None:
    made = recording(
        """
        import os
        from curl_cffi import requests
        session = requests.Session()
        def ask(path):
            return session.get(os.environ["SERVICE"] + path).status_code
        for path in ("/one?ms=500", "/two?ms=500"):
            assert ask(path) == 200
        """
    )
    waits = unknown(made, "curl_cffi.Session.")
    assert [function for function, _ in waits] == ["ask", "ask"]
    assert all(length >= 100 for _, length in waits)
    asked = [span for span in made.spans if span.name.startswith("curl_cffi.Session.")]
    calls = [made.invocations[span.invocation] for span in asked]
    assert len({call.id for call in calls}) == 2
    assert all(
        call.function == "ask" and call.start_ns <= span.start_ns for call, span in zip(calls, asked, strict=True)
    )


def test_grpc_call_waits_at_the_users_line(recording: Record) -> None:
    made = recording(
        """
        import time
        from concurrent import futures
        import grpc

        def slow(request, context):
            time.sleep(1.0)  # a busy machine lets the sampler look rarely
            return b"pong"

        handler = grpc.method_handlers_generic_handler("svc", {"Ping": grpc.unary_unary_rpc_method_handler(slow)})
        server = grpc.server(futures.ThreadPoolExecutor(2), handlers=(handler,))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()

        def ping(channel):
            return channel.unary_unary("/svc/Ping")(b"ping")

        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert ping(channel) == b"pong"
        server.stop(None)
        """
    )
    waits = [span for span in made.spans if span.site is not None and span.site.function == "ping"]
    assert sum(span.duration_ns for span in waits) >= 100 * MS


def test_wait_in_a_native_function_is_named_as_the_source_writes_it(recording: Record) -> None:
    made = recording(
        """
        import _thread, threading
        def held(lock):
            lock.acquire()
        lock = _thread.allocate_lock()
        lock.acquire()
        threading.Timer(0.2, lock.release).start()
        held(lock)
        """
    )
    [(function, length)] = unknown(made, "lock.acquire")
    assert function == "held"
    assert length >= 150


def test_wait_that_a_probe_knows_is_not_told_twice(recording: Record) -> None:
    made = recording(
        """
        import os, time, urllib.request, threading
        def work():
            time.sleep(0.1)
            urllib.request.urlopen(os.environ["SERVICE"] + "/one?ms=100").read()
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
        """
    )
    assert not [span for span in made.spans if span.kind == UNKNOWN]


COMPUTING = """
    import json, sys, threading, time

    def burn(seconds):
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            sum(range(500))

    def parse(seconds):
        from xml.dom import minidom
        text = "<a>" + "<b>text</b>" * 4_000 + "</a>"
        until = time.thread_time() + seconds
        while time.thread_time() < until:
            minidom.parseString(text)  # 40 ms each: a look finds the library, however few there are

    async def step():
        burn(0.1)

    burn(0.2)
    parse(0.3)
    worker = threading.Thread(target=burn, args=(0.2,))
    worker.start()
    worker.join()
    import asyncio
    asyncio.run(step())
"""


def test_processor_time_is_told_by_line_library_and_activity(recording: Record) -> None:
    made = recording(COMPUTING)
    assert not made.warnings
    used: dict[tuple[str, str, str], int] = {}
    for activity, lane in made.samples.items():
        for sample in lane:
            function = sample.site.function if sample.site is not None else ""
            key = made.activities[activity].kind, function, sample.package
            used[key] = used.get(key, 0) + sample.cpu_ns
    main = [made.activities[each].name for each in made.samples if made.activities[each].kind == "thread"]
    assert "MainThread" in main
    assert used["thread", "burn", ""] >= 300 * MS
    assert used["thread", "parse", "xml"] >= 150 * MS
    assert used["task", "burn", ""] >= 50 * MS
    assert not [span for span in made.spans if span.kind == UNKNOWN]


def test_sampler_takes_its_bounded_share_and_says_so(recording: Record) -> None:
    made = recording("import time\nfor _ in range(20): time.sleep(0.05)")
    facts = made.done["sampler"]
    assert facts["looks"] > 10
    assert facts["interval_ns"] >= 10 * MS
    assert 0 < facts["cpu_ns"] < 0.05 * facts["wall_ns"]


UNNOTICED = """
    import gc, os, signal, sys, threading, time, weakref

    class Held:
        pass

    died = []
    def hold():
        held = Held()
        weakref.finalize(held, lambda: died.append(threading.get_ident()))
        until = time.monotonic() + 0.0005
        while time.monotonic() < until:
            pass

    gc.disable()
    for _ in range(400):
        hold()
    print("destroyed at once, by their own thread:", died == [threading.get_ident()] * 400)
    print("threads:", [each.name for each in threading.enumerate()])

    for number in range(5):
        child = os.fork()
        if not child:
            until = time.monotonic() + 0.02
            while time.monotonic() < until:
                pass
            os._exit(number)
        print("child:", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    caught = []
    signal.signal(signal.SIGALRM, lambda *_: caught.append(threading.current_thread().name))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    while not caught:
        pass
    print("signal in:", caught)

    sys.setswitchinterval(0.00001)
    for _ in range(50):
        hold()
    sys.setswitchinterval(0.005)

    def storm():
        for _ in range(20):
            each = threading.Thread(target=hold)
            each.start()
            each.join()
    storms = [threading.Thread(target=storm) for _ in range(5)]
    for each in storms: each.start()
    for each in storms: each.join()
    print("destroyed:", len(died))

    def generator():
        try:
            yield 1
            yield 2
        finally:
            print("closed")
    for item in generator():
        break
    time.sleep(0.03)
    sys.exit(3)
"""


def test_program_does_not_notice(
    program: Callable[..., Path], plainly: Callable[..., object], recorded: Callable[..., object]
) -> None:
    path = program(UNNOTICED)
    assert plainly(path) == recorded(path)


def test_traced_program_is_sampled_without_marks(recording: Record) -> None:
    made = recording(
        """
        import sys, time
        seen = []
        def tracer(frame, event, argument):
            seen.append(event)
            return tracer
        def work():
            until = time.thread_time() + 0.3
            while time.thread_time() < until:
                pass
        sys.settrace(tracer)
        work()
        sys.settrace(None)
        assert seen.count("line") > 100
        """
    )
    assert "work" not in {call.function for call in made.invocations.values()}
