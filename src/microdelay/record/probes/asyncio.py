"""asyncio: the life of each task (created by whom, running, waiting for what and where, woken by whom), and what
the event loop itself waits for: names, connections, handshakes."""

from __future__ import annotations

import asyncio as _asyncio
from _thread import get_ident
from asyncio import base_events, events, futures, selector_events, taskgroups
from asyncio import tasks as standard
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from microdelay.record import activities, calls, tasks
from microdelay.record.families import asyncio_tasks
from microdelay.record.families.asyncio_joins import carry, joins_all, joins_group, main_task, run_forever
from microdelay.record.families.asyncio_steps import call_soon, run_watched
from microdelay.record.families.asyncio_tasks import create_task, get_running_loop, task_in
from microdelay.record.measure import Details, hide, timed, timed_async
from microdelay.record.patches import replace, replace_in_all, unnoticed
from microdelay.record.sampler import running_tasks
from microdelay.spans import CONNECT, DNS, JOIN, SLEEP, TLS


def install(asyncio: ModuleType) -> None:
    """Follow the tasks of the standard event loops."""
    loop = base_events.BaseEventLoop
    calls.end_stacks_at(events.Handle._run.__code__)
    activities.current_task = asyncio_tasks.current
    activities.running_life = asyncio_tasks.running_here
    activities.known_life = asyncio_tasks.known_here
    replace(loop, "create_task", create_task)
    replace(loop, "run_forever", run_forever)
    replace(loop, "call_soon", call_soon)
    replace(loop, "call_soon_threadsafe", call_soon)
    replace(events.Handle, "_run", run_watched)
    replace(standard, "_wait", joins_all)
    replace(taskgroups.TaskGroup, "__aexit__", joins_group)
    replace_in_all((futures, _asyncio), "wrap_future", carry)
    replace_in_all((standard, _asyncio), "sleep", _sleep)
    replace(loop, "run_until_complete", lambda run: timed(run, JOIN, "run_until_complete", main_task))
    replace(loop, "getaddrinfo", lambda look_up: timed_async(look_up, DNS, "dns", host_name))
    replace(
        selector_events.BaseSelectorEventLoop,
        "sock_connect",
        lambda connect: timed_async(connect, CONNECT, "connect", address),
    )
    replace(loop, "_create_connection_transport", _handshake)
    running = get_running_loop()
    if running is not None:  # the recording begins in a task
        running_tasks[get_ident()] = partial(task_in, running)


def _sleep(sleep: Callable[..., Any]) -> Callable[..., Any]:
    return timed_async(sleep, SLEEP, "asyncio.sleep", _pause, tasks.COALESCE_NS)


def _pause(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"seconds": float(args[0])} if args else {}


def host_name(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Tell which host was looked up."""
    host = args[1] if len(args) > 1 else None
    return {"server.address": host.decode("ascii", "replace") if isinstance(host, bytes) else str(host)} if host else {}


def address(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    """Tell where a connection goes, given as `(host, port, ...)` or the path of a socket."""
    address = args[2] if len(args) > 2 else None
    if isinstance(address, tuple) and len(address) >= 2:
        return {"server.address": str(address[0]), "server.port": int(address[1])}
    return {"server.address": "unix"}


def _handshake(create_transport: Callable[..., Any]) -> Callable[..., Any]:
    recorded = timed_async(create_transport, TLS, "tls", _tls_server)

    async def wrapper(self: Any, sock: Any, protocol_factory: Any, ssl: Any, *args: Any, **kwargs: Any) -> Any:
        connect = recorded if ssl else create_transport
        try:
            return await connect(self, sock, protocol_factory, ssl, *args, **kwargs)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, create_transport)


def _tls_server(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"server.address": str(args[4] if len(args) > 4 else "")}
