"""`multiprocessing.Pool` and `ThreadPool`: which call was handed over where, when it ran in which worker, and who waits
for its result.

A call of `apply`, and each chunk of `map` and `imap`, is an activity of the process that submits it. To a worker
process its number travels in the index of the task, which a worker only gives back with the result: one that is not
recorded gives it back just so. It is taken off again before the pool looks at it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from multiprocessing import connection
from types import ModuleType
from typing import Any

from microdelay.record import activities, calls
from microdelay.record.calls import Site
from microdelay.record.details import Trace, running
from microdelay.record.events import now, state
from microdelay.record.families import work_items
from microdelay.record.families.waits import cover, waiting, waiting_until
from microdelay.record.measure import Details, hide
from microdelay.record.patches import of_static, replace, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import JOIN

INDEX_BITS = 40
"""Of a task's index, below the number of its activity; a `map` of 2^40 chunks does not fit into memory."""

NUMBERED = 2
"""Added to the number of an activity in an index, where 0 is none: that of a trace without details is -1."""

MAX_JOINED = 1_000
"""Chunks of one `map` whose activities a wait for its result names: there are four for each worker by default."""

Submitted = tuple[int, Site, int, Trace | None, list[int]]
"""Who submits and where, created_ns, the trace that ran, and the activities made of it so far."""

_chunks: tuple[Any, ...] = ()  # the functions that call another one on each item of a chunk
_raises: Any = None  # what stands for a task that could not be made


def install(pool: ModuleType) -> None:
    """Follow tasks to the workers and back; time what waits for their results, and the iterators of `imap`."""
    global _chunks, _raises  # noqa: PLW0603
    _chunks = pool.mapstar, pool.starmapstar
    _raises = pool._helper_reraises_exception
    for result in (pool.ApplyResult, pool.IMapIterator):
        replace(result, "__init__", _submitted)
    replace(pool.Pool, "_handle_tasks", of_static(_sending))
    replace(pool.Pool, "_handle_results", of_static(_receiving))
    replace(pool, "worker", _working)
    # `apply`, `map` and `starmap` are made of these.
    replace(pool.ApplyResult, "get", waiting_until(JOIN, "AsyncResult.get", _awaited))
    replace(pool.ApplyResult, "wait", waiting_until(JOIN, "AsyncResult.wait", _awaited))
    cover(pool.IMapIterator.next, JOIN, "Pool.imap")  # its waits are seen in `Condition.wait`
    replace(pool.Pool, "join", waiting(JOIN, "Pool.join"))


def _awaited(result: Any) -> Details:
    submitted = getattr(result, "_microdelay", None)
    return {"joins": tuple(submitted[4])} if submitted is not None else {}


def _submitted(init: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        if state.on:
            try:
                self._microdelay = (*activities.here(), now(), running.get(), [])
            except Exception as problem:
                stand_aside("submit", problem)
        init(self, *args, **kwargs)

    return unnoticed(wrapper, init)


def _sending(handle: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(taskqueue: Any, put: Any, outqueue: Any, pool: Any, cache: Any) -> Any:
        is_process = isinstance(getattr(put, "__self__", None), connection._ConnectionBase)
        number = _numbered if is_process else _in_thread

        def sent(task: Any) -> None:
            put(task if task is None or not state.on else number(task, cache))

        return handle(taskqueue, sent, outqueue, pool, cache)

    return unnoticed(wrapper, handle)


def _numbered(task: Any, cache: Any) -> Any:
    """Give a task whose index says of which activity it is."""
    job, index, function, args, kwds = task
    # `_microdelay` says that the results of this pool are looked at, too: who starts to record may do so in between.
    activity = _create(task, cache) if getattr(cache, "_microdelay", False) else 0
    return (job, index + ((activity + NUMBERED) << INDEX_BITS), function, args, kwds) if activity else task


def _in_thread(task: Any, cache: Any) -> Any:
    """Give a task whose function works on its activity."""
    activity = _create(task, cache)
    if not activity:
        return task
    job, index, function, args, kwds = task
    trace = cache[job]._microdelay[3]

    def work(*args: Any, **kwds: Any) -> Any:
        try:
            return work_items.go_on(activity, trace, partial(function, *args, **kwds))
        except BaseException as error:
            for _ in range(3):  # with `go_on` and `work_on`
                hide(error)
            raise

    return job, index, work, args, kwds


def _create(task: Any, cache: Any) -> int:
    """Begin the activity of a task, in the pool's thread that sends it; 0 where nothing is known of it."""
    try:
        job, _, function, args, _ = task
        submitted: Submitted | None = getattr(cache.get(job), "_microdelay", None)
        if submitted is None or function is _raises:
            return 0
        parent, site, created_ns, _, made = submitted
        if not activities.is_known(parent) and parent > 0:
            return 0  # of an earlier recording
        called = args[0][0] if function in _chunks else function
        activity = activities.create("work", work_items.name_of(called), parent, site, created_ns)
        if len(made) < MAX_JOINED:
            made.append(activity)
    except Exception as problem:
        stand_aside("submit", problem)
        return 0
    return activity


def _receiving(handle: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(outqueue: Any, get: Callable[[], Any], cache: Any) -> Any:
        before = activities.local.activity

        def received() -> Any:
            """Let the call be what wakes whoever waits for its result, not the pool's thread that hands it on."""
            activities.local.activity = before
            task = get()
            if task is None or not task[1] >> INDEX_BITS:
                return task
            job, index, result = task
            activities.local.activity = (index >> INDEX_BITS) - NUMBERED
            return job, index & (1 << INDEX_BITS) - 1, result

        cache._microdelay = True
        return handle(outqueue, received, cache)

    return unnoticed(wrapper, handle)


def _working(work: Callable[..., Any]) -> Callable[..., Any]:
    calls.end_stacks_at(work.__code__)  # below it, in a forked worker, still stands who made the pool

    def wrapper(inqueue: Any, *args: Any, **kwargs: Any) -> Any:
        if state.on and hasattr(inqueue, "_writer"):  # a process's
            inqueue.get = _got(inqueue.get)  # in this process only
        return work(inqueue, *args, **kwargs)

    return unnoticed(wrapper, work)


def _got(get: Callable[[], Any]) -> Callable[[], Any]:
    def wrapper() -> Any:
        task = get()
        if task is None or not state.on:
            return task
        job, index, function, args, kwds = task
        numbered = index >> INDEX_BITS
        return (job, index, work_items.lent(numbered - NUMBERED, function), args, kwds) if numbered else task

    return unnoticed(wrapper, get)
