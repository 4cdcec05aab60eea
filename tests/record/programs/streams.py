"""Bodies read piece by piece, in the ways of each library."""

import asyncio
import os
import urllib.request

import aiohttp
import httpx
import requests
import urllib3

URL = os.environ["SERVICE"] + "/stream?ms=5"


async def read_async():
    async with httpx.AsyncClient() as client, client.stream("GET", URL) as response:
        print([len(part) async for part in response.aiter_bytes()])
    async with aiohttp.ClientSession() as session, session.get(URL) as response:
        print(await response.json() == await response.json(), response.status)


with requests.get(URL, stream=True) as response:
    print([len(part) for part in response.iter_content(10)], response.ok)
with urllib.request.urlopen(URL) as response:
    print([len(part) for part in iter(lambda: response.read(10), b"")], response.status)
with urllib.request.urlopen(URL) as response:
    print([len(line) for line in response], response.closed)
with httpx.stream("GET", URL) as response:
    print([len(part) for part in response.iter_bytes(10)])
with urllib3.PoolManager().request("GET", URL, preload_content=False) as response:
    print(len(response.read()), response.status)
asyncio.run(read_async())
