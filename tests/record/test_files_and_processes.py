"""Waits for files and for other processes, and what is not kept of them."""

from __future__ import annotations

from collections.abc import Callable

from microdelay.traces import Recording

Record = Callable[..., Recording]

WAITED_NS = 4_000_000  # each child sleeps for 50 ms; what a busy machine makes slow is left out


def test_other_processes_are_named_by_their_executable_alone(recording: Record) -> None:
    made = recording(
        """
        import asyncio, os, subprocess, sys
        def work():
            subprocess.run(["/bin/sleep", "0.05"], env={"SECRET": "secret"})
            subprocess.run("sleep 0.05; TOKEN=secret true", shell=True)
            subprocess.Popen(["sleep", "0.05"]).wait()
            subprocess.check_output(["secret", "0.05", "0.00"], executable="/bin/sleep")
            os.system("sleep 0.05 # secret")
            child = os.posix_spawnp("sleep", ["sleep", "0.05"], os.environ)
            os.waitpid(child, 0)
            try: subprocess.run(["no-such-command", "secret"])
            except FileNotFoundError: pass
        async def main():
            process = await asyncio.create_subprocess_exec("sleep", "0.05")
            await process.wait()
            process = await asyncio.create_subprocess_shell("sleep 0.05; echo secret", stdout=subprocess.PIPE)
            await process.communicate()
        work()
        asyncio.run(main())
        """
    )
    found = [span for span in made.spans if span.kind == "process"]
    waited = [span for span in found if "part" not in span.attributes and span.duration_ns >= WAITED_NS]
    # Once each: a busy machine may hold up also the question after a child that had ended.
    assert list(dict.fromkeys((span.name, span.site.line) for span in waited if span.site)) == [
        ("sleep", 4), ("sh", 5), ("sleep", 6), ("sleep", 7), ("os.system", 8), ("os.waitpid", 10),
        ("sleep", 15), ("sh", 17),
    ]  # fmt: skip
    started = [span for span in found if span.attributes == {"part": "start"}]
    assert [span.name for span in started] == [
        "sleep", "sh", "sleep", "sleep", "no-such-command", "sleep", "sh",
    ]  # fmt: skip
    assert [span.error for span in started if span.name == "no-such-command"] == ["FileNotFoundError"]
    assert "secret" not in str([(span.name, span.attributes) for span in made.spans])


def test_files_that_take_time_are_seen_where_the_user_asks_for_them(recording: Record) -> None:
    made = recording(
        """
        import os, pathlib, shutil
        def work():
            pathlib.Path("folder").mkdir()
            big = pathlib.Path("folder/secret")
            big.write_bytes(bytes(20_000_000))
            big.read_bytes()
            shutil.copytree("folder", "copy")
            file = os.open("synced", os.O_WRONLY | os.O_CREAT)
            os.write(file, bytes(20_000_000))
            os.fsync(file)
        work()
        """
    )
    found = {(span.name, span.site.line) for span in made.spans if span.kind == "file" and span.site}
    expected = {("Path.write_bytes", 6), ("Path.read_bytes", 7), ("shutil.copytree", 8), ("os.write", 10)}
    assert expected <= found  # a disk may be quick at the rest
    assert found <= {*expected, ("os.mkdir", 4), ("os.open", 9), ("os.fsync", 11)}
    assert "secret" not in str([(span.name, span.attributes) for span in made.spans])


def test_waits_for_processes_of_multiprocessing(recording: Record) -> None:
    made = recording(
        """
        import multiprocessing, time
        from concurrent.futures import ProcessPoolExecutor
        def slow(number):
            time.sleep(0.15)
            return number
        def send(pipe, items):
            time.sleep(0.15); pipe.send("secret")
            time.sleep(0.15); items.put("secret")
            time.sleep(0.15)
        def work(context):
            here, there = context.Pipe()
            items = context.Queue()
            child = context.Process(target=send, args=(there, items))
            child.start()
            here.recv()
            items.get()
            child.join()
            with context.Pool(1) as pool:
                pool.apply(slow, (1,))
                pool.map(slow, [1])
                for result in pool.imap(slow, [1]): pass
            with ProcessPoolExecutor(1, context) as pool: pool.submit(slow, 1).result()
        if __name__ == "__main__": work(multiprocessing.get_context("fork"))
        """,
    )
    slow = [span for span in made.spans if span.site and span.duration_ns >= WAITED_NS]
    found = [(span.kind, span.name, span.site.line) for span in slow if span.site]
    assert {
        ("process", "Connection.recv", 16),
        ("queue", "multiprocessing.Queue.get", 17),
        ("process", "Process.join", 18),
        ("join", "AsyncResult.get", 20),
        ("join", "AsyncResult.get", 21),
        ("join", "Pool.imap", 22),
        ("join", "Future.result", 23),
    } <= set(found)
    assert "secret" not in str([(span.name, span.attributes) for span in made.spans])
