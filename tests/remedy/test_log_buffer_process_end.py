"""However a process ends, what was promised arrives, and nothing hangs."""

from __future__ import annotations

import pytest

PREAMBLE = """
    import asyncio, multiprocessing, os, signal, sys, threading, time
    from microdelay import LogBuffer
    buffer = LogBuffer(sys.argv[1], flush_interval=3600.0, exit_timeout=5.0)
"""

ENDS = {
    "sys.exit in a thread": (
        """
    def work():
        buffer.log('one')
        sys.exit(7)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    """,
        0,
        ["one"],
    ),
    "SIGINT": ("buffer.log('one'); os.kill(os.getpid(), signal.SIGINT); time.sleep(60)", -2, ["one"]),
    "SIGTERM with a handler that exits": (
        """
    signal.signal(signal.SIGTERM, lambda *_: (buffer.log('in handler'), sys.exit(9)))
    buffer.log('one')
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)
    """,
        9,
        ["one", "in handler"],
    ),
    "daemon threads that go on": (
        """
    go = threading.Event()
    def work():
        buffer.log('one')
        go.set()
        while True:
            time.sleep(0.001)
            hash('busy')
    threading.Thread(target=work, daemon=True).start()
    go.wait()
    """,
        0,
        ["one"],
    ),
    "a closed event loop": (
        """
    async def main():
        buffer.log('inside')
        raise RuntimeError
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
    except RuntimeError:
        loop.close()
    buffer.log('after')
    """,
        0,
        ["inside", "after"],
    ),
    "a loop that is left with the buffer open": (
        """
    async def main():
        task = asyncio.create_task(asyncio.sleep(3600))
        buffer.log('one')
        await asyncio.sleep(0)
    asyncio.run(main())
    """,
        0,
        ["one"],
    ),
    "a fork whose child returns": (
        """
    buffer.log('parent')
    if os.fork() == 0:
        buffer.log('child')
    else:
        assert os.wait()[1] == 0
    """,
        0,
        ["child", "parent"],
    ),
    "workers that were forked before the first record": (
        """
    children = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            buffer.log(f'worker {number}')
            sys.exit(0)
        children.append(child)
    assert all(os.waitpid(child, 0)[1] == 0 for child in children)
    """,
        0,
        ["worker 0", "worker 1", "worker 2"],
    ),
    "a log call of a finalizer at the very end": (
        """
    class Late:
        def __del__(self):
            buffer.log('too late to promise anything')
    late = Late()
    late.itself = late
    buffer.log('one')
    """,
        0,
        ["one"],
    ),
}


@pytest.mark.parametrize(("source", "status", "messages"), ENDS.values(), ids=ENDS.keys())
def test_the_end_of_a_process_sends_the_rest(service, run_script, source, status, messages):
    result = run_script(PREAMBLE + "    " + source.strip() + "\n", service.url)
    assert result.returncode == status, result.stderr
    assert sorted(set(service.messages) - {"too late to promise anything"}) == sorted(messages), result.stderr


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_send_what_they_logged(service, run_script, method):
    result = run_script(
        """
        import multiprocessing, sys
        from microdelay import LogBuffer

        def work(url, number):
            buffer = LogBuffer(url, flush_interval=3600.0)
            buffer.log(f"child {number}")

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[2])
            children = [context.Process(target=work, args=(sys.argv[1], number)) for number in range(3)]
            for child in children:
                child.start()
            for child in children:
                child.join()
            with context.Pool(2) as pool:
                pool.starmap(work, [(sys.argv[1], 10 + number) for number in range(4)])
                pool.close()
                pool.join()
        """,
        service.url,
        method,
    )
    assert result.returncode == 0, result.stderr
    assert sorted(service.messages) == sorted(f"child {number}" for number in (0, 1, 2, 10, 11, 12, 13))


@pytest.mark.parametrize("trouble", ["hang", "refuse connections", "raise SystemExit", "never return"])
def test_a_sink_in_trouble_costs_the_end_no_more_than_its_time_out(service, run_script, trouble):
    service.gate.clear()
    result = run_script(
        """
        import sys, time, threading
        from microdelay import LogBuffer

        def leaves(records): raise SystemExit(5)
        def stays(records): time.sleep(3600)

        sink = {"hang": sys.argv[1], "refuse connections": "http://127.0.0.1:9/x", "raise SystemExit": leaves,
                "never return": stays}[sys.argv[2]]
        buffers = [LogBuffer(sink, exit_timeout=0.3) for _ in range(3)]
        for buffer in buffers:
            for number in range(100):
                buffer.log("one", number=number)
        start = time.monotonic()
        import atexit
        atexit._run_exitfuncs()
        print(time.monotonic() - start)
        """,
        service.url,
        trouble,
    )
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) < 20, "three buffers, and a machine that is busy"


def test_a_process_that_logs_from_everywhere_while_it_forks_and_ends_does_not_hang(service, run_script):
    result = run_script(
        PREAMBLE
        + """
    import faulthandler
    faulthandler.dump_traceback_later(50, exit=True)
    def on_signal(*_):
        buffer.log('signal')
    signal.signal(signal.SIGALRM, on_signal)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    class Dies:
        def __del__(self):
            buffer.log('finalizer')
    stop = threading.Event()
    def work():
        while not stop.is_set():
            buffer.log('thread', dies=str(Dies()))
            if buffer.stats().queued > 2000:
                buffer.flush(1)
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(15):
        child = os.fork()
        if child == 0:
            buffer.log('child', number=number)
            os._exit(0 if buffer.flush(20) else 1)
        assert os.waitpid(child, 0)[1] == 0
    stop.set()
    for thread in threads:
        thread.join()
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert buffer.close(20)
    stats = buffer.stats()
    assert stats.sent == stats.accepted and not stats.lost, stats
    """,
        service.url,
    )
    assert result.returncode == 0, result.stderr
    assert {record["number"] for record in service.records if record["message"] == "child"} == set(range(15))
