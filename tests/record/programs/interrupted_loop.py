"""Cancellation, KeyboardInterrupt and errors nobody waits for, in asyncio."""

import asyncio
import os
import signal


async def forgotten():
    await asyncio.sleep(0.001)
    raise ValueError("nobody waits for this")


async def cancelled():
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        print("cancelled")
        raise


async def main():
    task = asyncio.create_task(cancelled(), name="the one to cancel")
    lost = asyncio.create_task(forgotten(), name="forgotten")
    await asyncio.sleep(0.01)
    del lost
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("seen")
    try:
        await asyncio.wait_for(cancelled(), 0.01)
    except TimeoutError:
        print("too late")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(cancelled())
            group.create_task(forgotten())
    except* ValueError as group_error:
        print(group_error.exceptions)
    asyncio.get_running_loop().call_later(0.01, os.kill, os.getpid(), signal.SIGINT)
    await asyncio.sleep(30)


asyncio.run(main())
