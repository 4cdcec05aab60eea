"""Errors pass through every probed library with the traceback they always had."""

import asyncio
import concurrent.futures
import http.client
import json
import socket
import sqlite3
import threading
import time
import traceback
import urllib.request

import httpx
import requests
import urllib3

CLOSED = "http://127.0.0.1:9/"


def attempt(function, *arguments, **options):
    try:
        function(*arguments, **options)
    except BaseException:
        traceback.print_exc()


async def fetch_async():
    async with httpx.AsyncClient() as client:
        await client.get(CLOSED)


async def fetch_aiohttp():
    import aiohttp

    async with aiohttp.ClientSession() as session, session.get(CLOSED):
        pass


async def fail():
    await asyncio.sleep(0.001)
    raise ValueError("in a task")


async def gather():
    await asyncio.gather(fail(), asyncio.create_task(fail()))


def in_pool():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int, "x").result()


database = sqlite3.connect(":memory:")
attempt(time.sleep, "long")
attempt(time.sleep, -1)
attempt(json.loads, "[" + "1," * 50_000)
attempt(json.dumps, {1: object()})
attempt(database.execute, "select * from nowhere")
attempt(database.executemany, "insert into nowhere values (?)", [(1,)])
attempt(database.cursor().execute, "select ?", (1, 2))
attempt(database.execute)
attempt(sqlite3.connect, "/nowhere/at/all.db")
attempt(socket.getaddrinfo, "no.such.host.invalid", 80)
attempt(socket.create_connection, ("127.0.0.1", 9))
attempt(socket.socket().connect, "not an address")
attempt(urllib.request.urlopen, CLOSED)
attempt(http.client.HTTPConnection("127.0.0.1", 9).request, "GET", "/")
attempt(http.client.HTTPConnection("127.0.0.1", 9).request, "GET", "/a b")
attempt(urllib3.PoolManager(retries=False).request, "GET", CLOSED)
attempt(httpx.get, CLOSED)
attempt(asyncio.run, fetch_async())
attempt(asyncio.run, gather())
attempt(in_pool)
attempt(threading.Thread.start, threading.current_thread())
attempt(requests.get, CLOSED)
attempt(asyncio.run, fetch_aiohttp())
requests.get("nonsense://")
