"""Nothing that a program sends, receives, stores or logs in confidence is in its recording."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from microdelay.record import layout
from microdelay.traces import Recording

PROGRAM = """
    import asyncio, http.client, json, logging, os, sqlite3, sys, time, urllib.request
    import aiohttp, httpx, requests, urllib3

    service = os.environ["SERVICE"]
    host = service.partition("//")[2]
    with_user = service.replace("://", "://userinfoname:userinfo-pass-1@")
    address = "/reset/pathsecret-77x/xYpAtHsEcReTz?key=querysecret88#fragmentsecret99"
    headers = {"Authorization": "Bearer headersecret-aa1", "Cookie": "session=cookiesecret-bb2"}
    body = {"password": "bodysecret-cc3"}

    requests.post(with_user + address, json=body, headers=headers)
    requests.get(service, auth=("basicname", "basicsecret-dd4"))
    httpx.post(with_user + address, json=body, headers=headers)
    urllib3.request("POST", service + address, body=json.dumps(body), headers=headers)
    urllib.request.urlopen(urllib.request.Request(service + address, json.dumps(body).encode(), headers)).read()
    connection = http.client.HTTPConnection(host)
    connection.request("POST", address.partition("#")[0], json.dumps(body), headers)
    connection.getresponse().read()

    async def main():
        async with aiohttp.ClientSession() as session:
            await (await session.post(with_user + address, json=body, headers={"Cookie": headers["Cookie"]})).read()
        async with httpx.AsyncClient() as client:
            await client.get(with_user + address, headers=headers)

    asyncio.run(main())

    database = sqlite3.connect(":memory:")
    database.execute("create table users (name, word)")
    database.execute("insert into users values ('sqlliteral-ee5', \\"sqlquoted-ff6\\")")
    database.execute("insert into users values (?, ?)", ("sqlparam-gg7", b"sqlblob-hh8"))
    database.executemany("insert into users values (:a, :b)", [{"a": "sqlnamed-ii9", "b": 1}])
    database.execute("select * from users where word = \\"sqlquoted-ff6\\" or word in (\\"x\\", \\"sqlquoted-ff6\\")")
    database.execute("select x'73716c6865786c6c', 0x5ec2e7, 4111111111111111 -- sqlcomment-jj1").fetchall()
    database.execute("select * from users where name = 'sqllong-kk2" + "x" * 5000 + "sqllong-ll3'").fetchall()
    for row in database.execute("select *, 'sqlresult-mm4' from users"): time.sleep(0)
    try: database.execute("select raise('sqlerror-nn5')")
    except sqlite3.OperationalError: pass

    class Slow(logging.Handler):
        def emit(self, record): time.sleep(0.001)

    logging.getLogger().addHandler(Slow())
    logging.warning("user %s has %s", "logargument-oo6", "logtext-pp7", extra={"token": "logextra-qq8"})
    json.loads(json.dumps(["jsonsecret-rr9"] * 20_000))
    try: time.sleep("argumentsecret-ss1")
    except TypeError: pass
    try:
        with __import__("microdelay").span("mine"): raise ValueError("messagesecret-tt2")
    except ValueError: pass
    os.environ["TOKEN"] = "environmentsecret-uu3"
    password = "localsecret-vv4"
    time.sleep(0.001)
"""

SECRETS = [
    "userinfoname",
    "userinfo-pass-1",
    "pathsecret-77x",
    "xYpAtHsEcReTz",
    "querysecret88",
    "fragmentsecret99",
    "headersecret-aa1",
    "cookiesecret-bb2",
    "bodysecret-cc3",
    "basicname",
    "basicsecret-dd4",
    "sqlliteral-ee5",
    "sqlquoted-ff6",
    "sqlparam-gg7",
    "sqlblob-hh8",
    "sqlnamed-ii9",
    "73716c6865786c6c",
    "5ec2e7",
    "4111111111111111",
    "sqlcomment-jj1",
    "sqllong-kk2",
    "sqllong-ll3",
    "sqlresult-mm4",
    "sqlerror-nn5",
    "logargument-oo6",
    "logtext-pp7",
    "logextra-qq8",
    "jsonsecret-rr9",
    "argumentsecret-ss1",
    "messagesecret-tt2",
    "environmentsecret-uu3",
    "localsecret-vv4",
    "commandlinesecret-ww5",
    "variablesecret-xx6",
]


def test_no_secret_is_kept(recording: Callable[..., Recording]) -> None:
    made = recording(PROGRAM, "--password", "commandlinesecret-ww5", API_KEY="variablesecret-xx6")
    text = contents(Path(made.path)).lower()
    assert b"/reset/" in text
    assert b"insert into users values" in text
    assert [secret for secret in SECRETS if secret.lower().encode() in text] == []


def test_all_of_the_program_was_recorded(recording: Callable[..., Recording]) -> None:
    spans = recording(PROGRAM).spans
    clients = {span.attributes["client"] for span in spans if span.kind == "http"}
    assert clients == {"requests", "httpx", "urllib3", "http.client", "aiohttp"}
    assert {span.kind for span in spans} >= {"db", "log", "codec", "sleep", "internal", "connect"}


def contents(path: Path) -> bytes:
    """Give all that a recording holds, unpacked."""
    data = path.read_bytes()
    offset, parts = len(layout.MAGIC), [data]
    while offset < len(data):
        _, length, _ = struct.unpack_from("<4sII", data, offset)
        offset += layout.HEADER.size
        parts.append(zlib.decompress(data[offset : offset + length]))
        offset += length
    assert json.loads(parts[1])["schema"]
    return b"\n".join(parts)


STREAMS = """
    import asyncio, gc, os, urllib.request
    import aiohttp, httpx, httpx2, requests, urllib3

    service = os.environ["ODD"]
    address = "/pieces/pathsecret-77x?key=querysecret88#fragmentsecret99"
    with_user = service.replace("://", "://userinfoname:userinfo-pass-1@")
    headers = {"Authorization": "Bearer headersecret-aa1", "Cookie": "session=cookiesecret-bb2"}
    body = {"password": "bodysecret-cc3", "model": "m", "messages": ["promptsecret-dd4"]}
    answer = "/echo/chat/completions"

    for _ in requests.post(with_user + address, json=body, headers=headers, stream=True).iter_content(3): pass
    urllib3.PoolManager().request("GET", service + address, headers=headers, preload_content=False).read(5)
    list(urllib.request.urlopen(urllib.request.Request(service + address, headers=headers)))
    for library in (httpx, httpx2):
        with library.stream("POST", with_user + address, json=body, headers=headers) as got:
            for _ in got.iter_bytes(): pass
        library.post(service + answer + "?key=querysecret88", json=body, headers=headers)
        try: library.get("http://userinfoname:userinfo-pass-1@127.0.0.1:9/pathsecret-77x?key=querysecret88")
        except library.ConnectError: pass

    async def main():
        async with aiohttp.ClientSession(cookies={"session": "cookiesecret-bb2"}) as session:
            async with session.post(service + address, json=body, headers=headers) as got:
                async for _ in got.content.iter_any(): pass
            async with session.post(service + address, data="bodysecret-cc3") as got: await got.text()
            async with session.post(service + answer, json=body) as got: await got.read()
        for library in (httpx, httpx2):
            known = dict(cookies={"session": "cookiesecret-bb2"}, auth=("name", "basicsecret-ee5"))
            async with library.AsyncClient(**known) as client:
                async with client.stream("POST", service + address, json=body) as got:
                    async for _ in got.aiter_lines(): pass
    asyncio.run(main())
"""

STREAMED = [
    "pathsecret-77x",
    "querysecret88",
    "fragmentsecret99",
    "userinfoname",
    "userinfo-pass-1",
    "headersecret-aa1",
    "cookiesecret-bb2",
    "bodysecret-cc3",
    "promptsecret-dd4",
    "basicsecret-ee5",
    "piece0",
    "piece3",
    "value-given-456",
    "cookie-given-123",
]


def test_no_secret_of_a_stream_is_kept(recording: Callable[..., Recording], odd_service: str) -> None:
    made = recording(STREAMS, ODD=odd_service)
    text = contents(Path(made.path)).lower()
    assert {span.attributes["client"] for span in made.spans if span.kind in ("http", "llm")} >= {"httpx2", "aiohttp"}
    assert any(span.kind == "llm" for span in made.spans)
    assert b"/pieces/" in text
    assert [secret for secret in STREAMED if secret.lower().encode() in text] == []
