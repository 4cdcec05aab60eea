"""asyncio's debug mode names the places where tasks and handles were made."""

import asyncio
import logging
import re

logging.basicConfig(level=logging.INFO, format="%(message)s")


async def child():
    await asyncio.sleep(0.001)


async def main():
    task = asyncio.create_task(child(), name="child")
    print(re.sub("0x[0-9a-f]+", "0x", repr(task)))
    handle = asyncio.get_running_loop().call_soon(print)
    print(re.sub("0x[0-9a-f]+", "0x", repr(handle)))
    await task


asyncio.run(main(), debug=True)
