"""Bodies that are read piece by piece: the program waits for pieces, and what it does between them is its own time."""

from __future__ import annotations

from collections.abc import Callable

from microdelay.spans import Span
from microdelay.traces import Recording

Record = Callable[..., Recording]

PIECES_S = 0.08
"""That the odd service takes for a body of four pieces."""

IMPORTS = """
import asyncio, gc, os, sys, time, urllib.request
import aiohttp, httpx, httpx2, requests, urllib3
service = os.environ["ODD"] + "/pieces"
WORK_S = 0.005
"""

SYNC = """
def slowly(pieces):
    for piece in pieces: time.sleep(WORK_S)

slowly(requests.get(service + "/requests", stream=True).iter_content(None))
slowly(urllib3.PoolManager().request("GET", service + "/pool", preload_content=False).stream())
for library, name in (httpx, "httpx"), (httpx2, "successor"):
    with library.stream("GET", f"{service}/{name}") as answer: slowly(answer.iter_bytes())
    with library.stream("GET", f"{service}/{name}-text") as answer: slowly(answer.iter_text())
"""

ASYNC = """
async def slowly(pieces):
    async for piece in pieces: await asyncio.sleep(WORK_S)

async def main():
    for library, name in (httpx, "httpx"), (httpx2, "successor"):
        async with library.AsyncClient() as client:
            async with client.stream("GET", f"{service}/async-{name}") as answer:
                await slowly(answer.aiter_bytes())
    async with aiohttp.ClientSession() as session:
        async with session.get(service + "/iterany") as answer: await slowly(answer.content.iter_any())
        async with session.get(service + "/iterchunks") as answer: await slowly(answer.content.iter_chunks())

asyncio.run(main())
"""


def of(made: Recording, path: str, part: bool) -> list[Span]:
    return [
        span
        for span in made.spans
        if span.attributes.get("url.template") == f"/pieces/{path}" and ("part" in span.attributes) == part
    ]


def test_work_between_pieces_is_not_waiting_for_them(recording: Record, odd_service: str) -> None:
    made = recording(IMPORTS + SYNC + ASYNC, ODD=odd_service)
    work = [span for span in made.spans if span.kind == "sleep"]
    paths = (
        "requests",
        "pool",
        "httpx",
        "successor",
        "httpx-text",
        "successor-text",
        "async-httpx",
        "async-successor",
        "iterany",
        "iterchunks",
    )
    assert len(work) >= 4 * len(paths)
    for path in paths:
        (request,) = of(made, path, part=False)
        parts = of(made, path, part=True)
        assert 1 <= len(parts) <= 6, path
        assert all(part.start_ns >= request.end_ns and part.input == request.input for part in parts)
        assert not [span for span in work for part in parts if part.start_ns < span.start_ns < part.end_ns], path
        whole = parts[-1].attributes
        assert whole["microdelay.time_to_first_chunk_ns"] >= 10_000_000, path
        assert whole["microdelay.stream_idle_ns"] >= max(part.duration_ns for part in parts)
    assert {of(made, path, part=True)[-1].attributes["http.response.body.size"] for path in ("httpx", "iterany")} == {
        24
    }


def test_pieces_that_are_only_waited_for_are_one_wait(recording: Record, odd_service: str) -> None:
    source = """
        def at_once(pieces):
            for piece in pieces: pass

        at_once(requests.get(service + "/requests", stream=True).iter_content(None))
        with httpx2.stream("GET", service + "/httpx") as answer: at_once(answer.iter_bytes())
        with httpx.stream("GET", service + "/read") as answer: answer.read()
        answer = urllib.request.urlopen(service + "/urllib"); answer.read()
        httpx.get(service + "/whole")
        requests.get(service + "/wholeagain")

        async def main():
            async with aiohttp.ClientSession() as session:
                async with session.get(service + "/iterany") as answer:
                    async for piece in answer.content.iter_any(): pass
                async with session.get(service + "/text") as answer: await answer.text()
                async with session.get(service + "/readline") as answer: await answer.content.readline()
            async with httpx2.AsyncClient() as client:
                async with client.stream("GET", service + "/aread") as answer: await answer.aread()
                await client.get(service + "/awhole")
        asyncio.run(main())
    """
    made = recording(IMPORTS + source.replace("\n        ", "\n"), ODD=odd_service)
    pieces = ("requests", "httpx", "iterany")
    whole = ("read", "urllib", "text", "aread", "whole", "wholeagain", "awhole")
    for path in (*pieces, *whole, "readline"):
        (request,) = of(made, path, part=False)
        parts = of(made, path, part=True)
        # A busy machine may wake the reader so late that a pause counts.
        assert 1 <= len(parts) <= 4, path
        assert parts[-1].end_ns - request.start_ns >= 0.5 * PIECES_S * 1e9, path
    for path in whole:
        assert any(span.output for part in (False, True) for span in of(made, path, part)), path


def test_a_body_that_is_given_up_leaves_its_request_and_what_was_waited_for(
    recording: Record, odd_service: str
) -> None:
    source = """
        def some(pieces):
            next(iter(pieces))

        answer = requests.get(service + "/requests", stream=True); some(answer.iter_content(None)); answer.close()
        with httpx.stream("GET", service + "/httpx") as answer: some(answer.iter_bytes())
        client = httpx2.Client(); client.send(client.build_request("GET", service + "/unread"), stream=True)
        del client; gc.collect()
        with httpx2.stream("GET", service + "/untouched") as answer: pass

        async def main():
            async with aiohttp.ClientSession() as session:
                async with session.get(service + "/iterany") as answer: await answer.content.readany()
                answer = await session.get(service + "/lost"); await answer.content.readany(); del answer; gc.collect()
            async with httpx.AsyncClient() as client:
                async with client.stream("GET", service + "/aiter") as answer:
                    async for piece in answer.aiter_bytes(): break
                task = asyncio.create_task(client.get(service + "/cancelled"))
                await asyncio.sleep(0.02)
                task.cancel()
                try: await task
                except asyncio.CancelledError: print("cancelled")
        asyncio.run(main())
    """
    made = recording(IMPORTS + source.replace("\n        ", "\n"), ODD=odd_service)
    for path in ("requests", "httpx", "unread", "untouched", "iterany", "lost", "aiter", "cancelled"):
        assert len(of(made, path, part=False)) == 1, path
    read = [part for path in ("requests", "httpx", "iterany", "aiter") for part in of(made, path, part=True)]
    assert sum(part.duration_ns for part in read) >= 10_000_000


def test_what_the_program_gets_of_a_stream_is_what_it_gets_without_us(
    recorded: Callable[..., tuple[int, str, str]],
    plainly: Callable[..., tuple[int, str, str]],
    program: Callable[..., object],
    odd_service: str,
) -> None:
    source = (
        IMPORTS
        + """
import inspect, pickle, traceback, types
for library in (httpx, httpx2):
    with library.stream("GET", service) as answer:
        print(answer.read(), answer.is_closed, pickle.loads(pickle.dumps(answer)).content)
        print(sorted(set(vars(pickle.loads(pickle.dumps(answer)))) - {"_elapsed"}))
    with library.stream("GET", service) as answer:
        pieces = answer.iter_raw()
        print(next(pieces)[:5]); pieces.close(); print(answer.is_closed)
        try: answer.read()
        except Exception as error: traceback.print_exc()
    for name in ("read", "aread", "iter_bytes"): print(inspect.signature(getattr(library.Response, name)))
    print(inspect.iscoroutinefunction(library.AsyncClient.send), inspect.signature(library.Client))
    try: library.get(service.replace("/pieces", "/dropped"))
    except Exception as error: traceback.print_exc()

async def main():
    for library in (httpx, httpx2):
        async with library.AsyncClient() as client:
            async with client.stream("GET", service) as answer:
                pieces = answer.aiter_bytes()
                print((await pieces.__anext__())[:5], isinstance(pieces, types.AsyncGeneratorType))
                await pieces.aclose(); print(answer.is_closed)
    async with aiohttp.ClientSession() as session:
        async with session.get(service) as answer: print([piece async for piece in answer.content.iter_chunks()])
        async with session.get(service) as answer: print(await answer.read(), await answer.read())
        try: await session.get(service.replace("/pieces", "/dropped"))
        except Exception as error: traceback.print_exc()
        async with session.get(service.replace("/pieces", "/held")) as answer:
            try: await asyncio.wait_for(answer.content.read(), 0.005)
            except Exception as error: print(type(error))
asyncio.run(main())
"""
    )
    ran = program(source)
    assert recorded(ran, ODD=odd_service) == plainly(ran, ODD=odd_service)
