"""What a program can ask of locks and queues, and what they raise."""

import asyncio
import inspect
import pickle
import queue
import threading
import traceback

print(threading.Semaphore.__enter__ is threading.Semaphore.acquire, threading.Semaphore(2).acquire(False))
for method in (
    queue.Queue.get,
    queue.Queue.put,
    threading.Condition.wait,
    threading.Condition.wait_for,
    threading.Event.wait,
    threading.Semaphore.acquire,
    threading.Barrier.wait,
    asyncio.Lock.acquire,
    asyncio.Event.wait,
    asyncio.Semaphore.acquire,
    asyncio.Queue.get,
    asyncio.Queue.put,
):
    print(method.__module__, method.__qualname__, inspect.signature(method), inspect.iscoroutinefunction(method))
    print(method.__doc__, pickle.loads(pickle.dumps(method)) is method, inspect.getsource(method)[:20])


class Own(queue.Queue):
    def _init(self, size):
        self.queue = None
        self.kept = []

    def _qsize(self):
        return len(self.kept)

    def _put(self, item):
        self.kept.append(item)

    def _get(self):
        return self.kept.pop()


own = Own()
own.put(1)
print(own.get(), own.qsize())


def tries(function, *arguments, **named):
    try:
        print(function(*arguments, **named))
    except BaseException:
        traceback.print_exc()


tries(queue.Queue().get, False)
tries(queue.Queue().get, timeout=-1)
tries(queue.Queue().get, 1, 2, 3)
tries(queue.Queue().put, 1, nonsense=2)
tries(threading.Condition().wait, 0.001)
tries(threading.Event().wait, "soon")
tries(threading.Semaphore(0).acquire, False, 1)
tries(lambda: threading.Condition(threading.Lock()).wait_for(lambda: 1 / 0))
tries(asyncio.run, asyncio.wait_for(asyncio.Queue().get(), 0.001))
