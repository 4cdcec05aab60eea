"""uvloop ≥ 0.18: tasks and callbacks as on the loops of the standard library.

uvloop runs callbacks from C, where nothing can be wrapped. What is given to `call_soon` is therefore put into a handle
of the standard library, whose `_run` the probe of asyncio watches; a task's steps go through it too. Names, connections
and handshakes are made below `create_connection` and are one span.
"""

from __future__ import annotations

from asyncio import events
from collections.abc import Callable
from contextvars import Context
from types import ModuleType
from typing import Any

from microdelay.record.events import state
from microdelay.record.families.asyncio_joins import main_task, run_forever
from microdelay.record.families.asyncio_steps import scheduled
from microdelay.record.families.asyncio_tasks import create_task
from microdelay.record.measure import Details, hide, timed, timed_async
from microdelay.record.patches import replace, unnoticed
from microdelay.record.probes.asyncio import address, host_name
from microdelay.record.trouble import stand_aside
from microdelay.spans import CONNECT, DNS, JOIN, TLS


def install(uvloop: ModuleType) -> None:
    """Follow the tasks of `uvloop.Loop`, a class written in Python around the one written in C."""
    loop = uvloop.Loop
    replace(loop, "create_task", create_task)
    replace(loop, "call_soon", _call_soon)
    replace(loop, "call_soon_threadsafe", _call_soon)
    replace(loop, "run_forever", run_forever)
    replace(loop, "run_until_complete", lambda run: timed(run, JOIN, "run_until_complete", main_task))
    replace(loop, "getaddrinfo", lambda look_up: timed_async(look_up, DNS, "dns", host_name))
    replace(loop, "sock_connect", lambda connect: timed_async(connect, CONNECT, "connect", address))
    replace(loop, "create_connection", _connected)


def _call_soon(call_soon: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(self: Any, callback: Any, *args: Any, context: Any = None) -> Any:
        function, given = callback, args
        if state.on and callable(callback):
            try:
                handle = events.Handle(callback, args, self, context)
                if not state.asleep:
                    scheduled(handle)
                # The handle runs the callback in its context, which must not be entered twice.
                function, given, context = handle._run, (), Context()
            except Exception as problem:
                stand_aside("call_soon", problem)
        try:
            return call_soon(self, function, *given, context=context)
        except BaseException as error:
            hide(error)
            raise

    return unnoticed(wrapper, call_soon)


def _connected(create_connection: Callable[..., Any]) -> Callable[..., Any]:
    """Time connections that are made, and handshakes on those that are given."""
    connect = timed_async(create_connection, CONNECT, "connect", _host)
    handshake = timed_async(create_connection, TLS, "tls", _server)

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        chosen = create_connection
        if kwargs.get("sock") is None:
            chosen = connect
        elif kwargs.get("ssl"):
            chosen = handshake
        return chosen(self, *args, **kwargs)

    return unnoticed(wrapper, create_connection)


def _host(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    host = args[2] if len(args) > 2 else kwargs.get("host")
    port = args[3] if len(args) > 3 else kwargs.get("port")
    details: Details = {"server.address": str(host or "")}
    if isinstance(port, int):
        details["server.port"] = port
    return details


def _server(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    return {"server.address": str(kwargs.get("server_hostname") or "")}
