"""What the probes of redis-py and of its forks share: commands, pipelines, messages, connections, pools.

Keys and arguments carry ids and secrets: only the command, the number of keys and fingerprints are written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from microdelay.record import redact
from microdelay.record.events import now, state
from microdelay.record.families import db
from microdelay.record.measure import BY_HELPER, NO_CPU, NO_DETAILS, Details, hide, record, timed, timed_async
from microdelay.record.patches import replace, unnoticed
from microdelay.record.trouble import stand_aside
from microdelay.spans import CONNECT, DB, POOL, QUEUE

BLOCKING = frozenset({
    "BLPOP", "BRPOP", "BRPOPLPUSH", "BLMOVE", "BLMPOP", "BZPOPMIN", "BZPOPMAX", "BZMPOP", "WAIT", "WAITAOF", "XREAD",
    "XREADGROUP",
})  # fmt: skip
"""Commands that wait for an item (XREAD… where told to block)."""

KEYS_ALL = frozenset({
    "DEL", "EXISTS", "MGET", "PFCOUNT", "SDIFF", "SINTER", "SUNION", "TOUCH", "UNLINK", "WATCH",
})  # fmt: skip
"""Commands all of whose arguments are keys."""

CONTAINERS = frozenset({
    "ACL", "CLIENT", "CLUSTER", "COMMAND", "CONFIG", "DEBUG", "FUNCTION", "LATENCY", "MEMORY", "MODULE", "OBJECT",
    "PUBSUB", "SCRIPT", "SLOWLOG", "XGROUP", "XINFO",
})  # fmt: skip
"""Commands whose first argument names what is done."""

MAX_COMMANDS = 64
"""Of a pipeline that are looked at."""

MAX_NAMED = 5
"""Different commands of a pipeline that its name tells."""

_SIMPLE = frozenset({
    "GET", "SET", "SETEX", "DEL", "EXISTS", "EXPIRE", "MGET", "MSET", "INCRBY", "HGET", "HSET", "HGETALL", "HMGET",
    "LPUSH", "RPUSH", "LPOP", "RPOP", "LRANGE", "SADD", "SMEMBERS", "SISMEMBER", "ZADD", "ZRANGE", "XADD", "PUBLISH",
    "PING", "EVALSHA", "TTL",
})  # fmt: skip
"""The usual commands, as clients write them: their name is known at once."""

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9._]{0,30}")
_SUBCOMMAND = re.compile(r"[A-Z][A-Z\-]{1,20}|[a-z][a-z\-]{1,20}")


def install_client(client: type[Any], pipeline: type[Any], pubsub: type[Any], system: str, is_async: bool) -> None:
    """Time the commands of a client, its pipelines, and waiting for messages."""
    single = _async_command if is_async else _command
    time = timed_async if is_async else timed
    replace(client, "execute_command", lambda execute: single(execute, system))
    replace(pipeline, "immediate_execute_command", lambda execute: single(execute, system))
    together = _async_pipeline if is_async else _pipeline
    replace(pipeline, "execute", lambda execute: together(execute, system))
    message = {"db.system.name": system}
    received = (QUEUE, "pubsub", lambda result, args, kwargs: message, db.FETCH_FLOOR_NS)
    replace(pubsub, "parse_response", lambda parse: time(parse, *received))


def install_cluster(cluster: type[Any], pipeline: type[Any], system: str, is_async: bool) -> None:
    """Time the commands of a cluster's client, and its pipelines; each may go to several servers."""
    single, together = (_async_command, _async_pipeline) if is_async else (_command, _pipeline)
    replace(cluster, "execute_command", lambda execute: single(execute, system))
    replace(pipeline, "execute", lambda execute: together(execute, system))


def install_connection(connection: type[Any], pool: type[Any], system: str, is_async: bool) -> None:
    """Time connections being made, and waiting for a pool that has none left."""
    time = timed_async if is_async else timed

    def connected(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
        of = args[0]
        host = getattr(of, "host", None) or getattr(of, "path", None)
        return {"db.system.name": system} | db.server(host, getattr(of, "port", None), getattr(of, "db", None))

    replace(connection, "connect", lambda connect: time(connect, CONNECT, "connect", connected, db.CONNECT_FLOOR_NS))
    waited = (POOL, "pool", lambda result, args, kwargs: {"db.system.name": system}, db.POOL_FLOOR_NS)
    replace(pool, "get_connection", lambda get: (_async_scarce if is_async else _scarce)(get, time(get, *waited)))


def _command(execute: Callable[..., Any], system: str) -> Callable[..., Any]:
    command, waits = timed(execute, DB, "", _describer(system)), _waits(timed, execute, system)

    def wrapper(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return (waits[args[0]] if _blocks(args) else command)(self, *args, **options)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, execute)


def _async_command(execute: Callable[..., Any], system: str) -> Callable[..., Any]:
    command, waits = timed_async(execute, DB, "", _describer(system)), _waits(timed_async, execute, system)

    async def wrapper(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return await (waits[args[0]] if _blocks(args) else command)(self, *args, **options)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, execute)


def _waits(time: Callable[..., Any], execute: Callable[..., Any], system: str) -> dict[str, Callable[..., Any]]:
    return {name: time(execute, QUEUE, name, _waited(system)) for name in BLOCKING}


def _scarce(get: Callable[..., Any], waiting: Callable[..., Any]) -> Callable[..., Any]:
    """Time a pool only where all its connections are out: else it may connect, which is no waiting for the pool."""

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return (waiting if _has_none_left(self) else get)(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, get)


def _async_scarce(get: Callable[..., Any], waiting: Callable[..., Any]) -> Callable[..., Any]:
    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await (waiting if _has_none_left(self) else get)(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, get)


def _has_none_left(pool: Any) -> bool:
    try:
        has_one = getattr(pool, "can_get_connection", None) or pool.pool.qsize  # by version
        return not has_one()
    except Exception as problem:
        stand_aside("redis pool", problem)
        return False


def _blocks(args: tuple[Any, ...]) -> bool:
    name = args[0] if args else ""
    if type(name) is not str or name not in BLOCKING:
        return False
    return name not in ("XREAD", "XREADGROUP") or "BLOCK" in args or b"BLOCK" in args


def _describer(system: str) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], Details]:
    def describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
        command = args[1:]
        name = operation(command)
        details = {**_target(args[0], system), "operation": name, "parameters": db.kept(command)}
        if name in KEYS_ALL:
            details["microdelay.keys"] = len(command) - 1
        _answer(details, result)
        return details

    return describe


def _waited(system: str) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], Details]:
    def describe(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
        return db.as_attributes(_target(args[0], system))

    return describe


def _pipeline(execute: Callable[..., Any], system: str) -> Callable[..., Any]:
    """Time a pipeline as one; executing it takes its list of commands away."""

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        stack = _stack(self)
        start_ns = now()
        try:
            result = execute(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            _sent_together(self, stack, start_ns, system, None, error)
            raise
        _sent_together(self, stack, start_ns, system, result, None)
        return result

    return unnoticed(wrapper, execute)


def _async_pipeline(execute: Callable[..., Any], system: str) -> Callable[..., Any]:
    async def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        stack = _stack(self)
        start_ns = now()
        try:
            result = await execute(self, *args, **kwargs)
        except BaseException as error:
            hide(error)
            _sent_together(self, stack, start_ns, system, None, error)
            raise
        _sent_together(self, stack, start_ns, system, result, None)
        return result

    return unnoticed(wrapper, execute)


def _stack(pipeline: Any) -> list[Any]:
    """Give the commands of a pipeline, whose list of them goes away with their execution."""
    try:
        strategy = getattr(pipeline, "_execution_strategy", pipeline)  # a cluster's; by version, the names differ
        for name in ("command_stack", "command_queue", "_command_queue", "_command_stack"):
            stack = getattr(strategy, name, None)
            if stack:
                return list(stack)
    except Exception as problem:
        stand_aside("redis pipeline", problem)
    return []


def _sent_together(
    pipeline: Any, stack: list[Any], start_ns: int, system: str, result: Any, error: BaseException | None
) -> None:
    end_ns = now()
    if not state.on or not stack:
        return
    try:
        details = _target(pipeline, system) | _batch(stack)
        _answer(details, result)
    except Exception as problem:
        stand_aside("describe pipeline", problem)
        details = NO_DETAILS
    record(DB, "", start_ns, end_ns, NO_CPU, details, error, BY_HELPER)


def _batch(stack: list[Any]) -> Details:
    commands = [each[0] if isinstance(each, tuple) else each.args for each in stack[:MAX_COMMANDS]]
    names = list(dict.fromkeys(map(operation, commands)))
    shown = [*names[:MAX_NAMED], "…"] if len(names) > MAX_NAMED else names
    details: Details = {
        "operation": " ".join(["PIPELINE", *shown]),
        "parameters": " ".join(map(db.kept, commands)),
        "db.operation.batch.size": len(stack),
    }
    return details | ({"input": 0} if len(stack) > MAX_COMMANDS else {})


def operation(command: Sequence[Any]) -> str:
    """Name a command: its first word, and the second of a command that consists of several."""
    first = command[0] if command else ""
    if type(first) is str and first in _SIMPLE:
        return first
    words = (first.decode("ascii", "replace") if isinstance(first, bytes) else str(first)).split()[:2]
    if not words or not _WORD.fullmatch(words[0]):
        return "COMMAND"
    name = words[0].upper()
    second = words[1] if len(words) > 1 else command[1] if len(command) > 1 else ""
    if name in CONTAINERS and isinstance(second, str) and _SUBCOMMAND.fullmatch(second):
        return f"{name} {second.upper()}"
    return name


def _target(client: Any, system: str) -> Details:
    pool = getattr(client, "connection_pool", None)
    if pool is None:  # a cluster's
        return {"system": system}
    known: Details | None = pool.__dict__.get("_microdelay")
    if known is None:
        options = pool.connection_kwargs
        known = {"system": system}
        known |= db.server(options.get("host") or options.get("path"), options.get("port"), options.get("db"))
        pool.__dict__["_microdelay"] = known
    return known


def _answer(details: Details, result: Any) -> None:
    """Keep an answer, for the writer to make a fingerprint of it; of one that is not kept whole, only values."""
    kind = type(result)
    if kind is list or kind is tuple:
        details["answer" if len(result) <= redact.MAX_TOKENS else "rows"] = db.kept(result)
    elif kind is dict:
        details["rows"] = db.kept(result)
    elif result is not None:
        details["answer"] = db.kept((result,))
