"""What a program can ask of the functions that are recorded."""

import asyncio
import concurrent.futures
import copy
import http.client
import inspect
import json
import logging
import pickle
import socket
import sqlite3
import threading
import time
from time import sleep

import httpx
import requests


class Pausing:
    pause = time.sleep
    nap = staticmethod(sleep)

    def __init__(self):
        self.rest = time.sleep


def signature(function):
    try:
        return str(inspect.signature(function))
    except ValueError as error:
        return str(error)


Pausing().pause(0.001)
Pausing().nap(0.001)
Pausing().rest(0.001)
for function in (
    time.sleep, asyncio.sleep, json.dumps, json.loads, socket.getaddrinfo, socket.socket.connect, requests.Session.send,
    httpx.Client.send, httpx.AsyncClient.send, http.client.HTTPConnection.getresponse, logging.Handler.handle,
    threading.Thread.start, concurrent.futures.Future.result, concurrent.futures.wait, sqlite3.connect,
    asyncio.BaseEventLoop.create_task, asyncio.BaseEventLoop.getaddrinfo,
):  # fmt: skip
    print(getattr(function, "__module__", "socket"), function.__qualname__, function.__name__, signature(function))
    print(inspect.iscoroutinefunction(function), asyncio.iscoroutinefunction(function), callable(function))
    print(function.__doc__ and function.__doc__[:30], pickle.loads(pickle.dumps(function)) is function)
    print(copy.copy(function) is function, copy.deepcopy(function) is function, hash(function) == hash(function))
print(time.sleep, time.sleep.__self__, time.sleep is sleep, time.sleep.__name__)
connection = sqlite3.connect(":memory:")
print(type(connection).__name__, type(connection).__module__, isinstance(connection, sqlite3.Connection))
print(type(connection.cursor()), type(connection.execute("select 1")))
