"""Redis and Valkey as the memory that processes share: connections, and who asks them."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Generator
from typing import TYPE_CHECKING, Any, Final

from microdelay.errors import RemedyError
from microdelay.remedy.cache_breaker import Breaker
from microdelay.remedy.cache_lease import LEASE_MS, RENEW, Command, Load, Pause, SharedCall, Step, Unreachable
from microdelay.remedy.sinks.extras import require

if TYPE_CHECKING:
    import asyncio

TIMEOUT_S: Final = 0.5
"""For one exchange with the server. Long for a cache on the same network; a busy one takes some milliseconds."""

CLUSTER: Final = "+cluster"


class RedisMemory:
    """The server at one URL, for this process. Raises `RemedyError` for a wrong URL and without redis-py."""

    def __init__(self, url: str) -> None:
        self._redis = require("redis", "redis", "cached(backend=…)")
        scheme, _, rest = url.partition("://")
        self._is_cluster = scheme.endswith(CLUSTER)
        self._url = f"{scheme.removesuffix(CLUSTER)}://{rest}"
        try:
            self._redis.Redis.from_url(self._url).close()  # without a connection so far
        except ValueError as error:
            raise RemedyError(f"backend: the URL of Redis is not valid: {error}") from None
        self._start_anew()
        _all.add(self)

    def _start_anew(self) -> None:
        self.unreachable = 0
        self._breaker = Breaker()
        self._lock = threading.Lock()
        self._client: Any = None
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Any] = weakref.WeakKeyDictionary()
        self._leading: set[SharedCall] = set()
        self._renewer: threading.Thread | None = None
        self._releases: set[asyncio.Task[object]] = set()

    # -- one exchange

    def ask(self, commands: list[Command]) -> list[Any]:
        """The replies. Raises `Unreachable`."""
        self._check_breaker()
        try:
            if self._client is None:
                self._client = self._connect(self._redis, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
            replies = self._exchange(commands)
        except (self._redis.RedisError, OSError) as error:
            raise self._failed(error) from error
        self._breaker.succeeded()
        return replies

    async def ask_async(self, commands: list[Command]) -> list[Any]:
        """The same in a task of asyncio."""
        import asyncio

        self._check_breaker()
        try:
            # Not redis-py's own time-out: below Python 3.12 it swallows cancellations (CPython gh-86296).
            async with asyncio.timeout(TIMEOUT_S):
                replies = await self._exchange_async(self._client_here(), commands)
        except (self._redis.RedisError, OSError, TimeoutError) as error:
            raise self._failed(error) from error
        self._breaker.succeeded()
        return replies

    def _check_breaker(self) -> None:
        if not self._breaker.may_try():
            self.unreachable += 1
            raise Unreachable

    def _failed(self, error: Exception) -> Unreachable:
        self._breaker.failed()
        self.unreachable += 1
        return Unreachable(str(error))

    def _exchange(self, commands: list[Command]) -> list[Any]:
        if self._is_cluster:
            return [
                self._client.mget_nonatomic(*command[1:])
                if command[0] == "MGET"
                else self._client.execute_command(*command)
                for command in commands
            ]
        if len(commands) == 1:
            return [self._client.execute_command(*commands[0])]
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return list(pipeline.execute())

    async def _exchange_async(self, client: Any, commands: list[Command]) -> list[Any]:
        if self._is_cluster:
            return [
                await (
                    client.mget_nonatomic(*command[1:]) if command[0] == "MGET" else client.execute_command(*command)
                )
                for command in commands
            ]
        if len(commands) == 1:
            return [await client.execute_command(*commands[0])]
        pipeline = client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return list(await pipeline.execute())

    def _connect(self, module: Any, **options: Any) -> Any:
        from redis.backoff import NoBackoff

        retry = module.retry.Retry if hasattr(module, "retry") else self._redis.retry.Retry
        # Once more at once, for a connection that the server closed meanwhile; and no further.
        again = retry(NoBackoff(), 1, supported_errors=(self._redis.ConnectionError,))
        if self._is_cluster:
            return module.RedisCluster.from_url(self._url, **options)
        return module.Redis.from_url(self._url, retry=again, protocol=2, **options)

    def _client_here(self) -> Any:
        """The client of the running loop."""
        import asyncio

        import redis.asyncio

        loop = asyncio.get_running_loop()
        with self._lock:
            client = self._clients.get(loop)
            if client is None:
                client = self._clients[loop] = self._connect(
                    redis.asyncio, socket_timeout=None, socket_connect_timeout=None
                )
            return client

    # -- one call

    def run(self, call: SharedCall, function: Callable[[], object]) -> object:
        """Follow its steps in this thread."""
        steps = call.steps()
        advance: Callable[[], Step] = lambda: next(steps)  # noqa: E731
        while True:
            try:
                step = advance()
            except StopIteration as end:
                return end.value
            try:
                answer = self._do(step, call, function)
                advance = _sending(steps, answer)
            except BaseException as error:
                advance = _throwing(steps, error)

    async def run_async(self, call: SharedCall, function: Callable[[], Awaitable[object]]) -> object:
        """Follow its steps in this task."""
        import asyncio

        steps = call.steps()
        advance: Callable[[], Step] = lambda: next(steps)  # noqa: E731
        is_cancelled = False
        while True:
            try:
                step = advance()
            except StopIteration as end:
                return end.value
            try:
                if is_cancelled and isinstance(step, list):
                    self._send_off(step)
                    advance = _sending(steps, None)
                else:
                    advance = _sending(steps, await self._do_async(step, call, function))
            except BaseException as error:
                is_cancelled = isinstance(error, asyncio.CancelledError)
                advance = _throwing(steps, error)

    def _do(self, step: Step, call: SharedCall, function: Callable[[], object]) -> object:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        if not isinstance(step, Load):
            return self.ask(step)
        self._hold(call)
        try:
            return function()
        finally:
            self._leading.discard(call)

    async def _do_async(self, step: Step, call: SharedCall, function: Callable[[], Awaitable[object]]) -> object:
        if isinstance(step, Pause):
            import asyncio

            await asyncio.sleep(step.seconds)
            return None
        if not isinstance(step, Load):
            return await self.ask_async(step)
        self._hold(call)
        try:
            return await function()
        finally:
            self._leading.discard(call)

    def _send_off(self, commands: list[Command]) -> None:
        """Ask without waiting: who is cancelled is not to be held up."""
        import asyncio

        async def send() -> None:
            try:
                await self.ask_async(commands)
            except Unreachable:
                return  # counted; the lease runs out by itself

        task = asyncio.get_running_loop().create_task(send())
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    # -- leases of calls that take long

    def _hold(self, call: SharedCall) -> None:
        if not call.leads:
            return
        self._leading.add(call)
        if self._renewer is None:
            with self._lock:
                if self._renewer is None:
                    self._renewer = threading.Thread(target=self._renew, name="microdelay-leases", daemon=True)
                    self._renewer.start()

    def _renew(self) -> None:
        while True:
            time.sleep(LEASE_MS / 3000)
            calls = list(self._leading.copy())
            if calls:
                try:
                    self.ask([("EVAL", RENEW, 1, call.place.lease, call.token, LEASE_MS) for call in calls])
                except Unreachable:
                    continue  # counted; others may take over, and one result is then not kept


def _sending(steps: Generator[Step, Any, object], answer: object) -> Callable[[], Step]:
    return lambda: steps.send(answer)


def _throwing(steps: Generator[Step, Any, object], error: BaseException) -> Callable[[], Step]:
    return lambda: steps.throw(error)


_all: Final[weakref.WeakSet[RedisMemory]] = weakref.WeakSet()
_by_url: Final[dict[str, RedisMemory]] = {}
_lock = threading.Lock()


def memory_at(url: str) -> RedisMemory:
    """The one memory of this process at a URL."""
    with _lock:
        if url not in _by_url:
            _by_url[url] = RedisMemory(url)
        return _by_url[url]


def _after_fork_in_child() -> None:
    global _lock  # noqa: PLW0603 - the parent's may be held by a thread that the child does not have
    _lock = threading.Lock()
    for memory in list(_all):
        memory._start_anew()


os.register_at_fork(after_in_child=_after_fork_in_child)
