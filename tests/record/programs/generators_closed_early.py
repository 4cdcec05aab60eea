"""Generators, asynchronous ones too, clean up when they are closed early."""

import asyncio
import contextlib
import gc
import time


def numbers():
    try:
        for number in range(5):
            time.sleep(0.001)
            yield number
    finally:
        time.sleep(0.001)
        print("generator closed")


async def slow_numbers():
    try:
        for number in range(5):
            await asyncio.sleep(0.001)
            yield number
    finally:
        await asyncio.sleep(0.001)
        print("asynchronous generator closed")


async def main():
    async with contextlib.aclosing(slow_numbers()) as source:
        async for number in source:
            print(number)
            break
    async for number in slow_numbers():
        print(number)
        break
    print(await anext(slow_numbers()))


for number in numbers():
    print(number)
    break
running = numbers()
next(running)
running.close()
try:
    numbers().throw(KeyError("thrown"))
except KeyError as error:
    print(repr(error))
asyncio.run(main())
gc.collect()
