"""A FastAPI service under one recorder: `app.py PEER`. Prints its address, and runs until its input ends."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import threading
import time
from contextlib import closing

import peers

end = peers.PEERS[sys.argv[1]]()

import uvicorn  # noqa: E402
from fastapi import FastAPI  # noqa: E402
from pydantic import BaseModel  # noqa: E402

database = sqlite3.connect(":memory:", check_same_thread=False)
database.execute("create table item (id integer primary key, name text, price real)")
database.executemany("insert into item values (?, ?, ?)", [(n, f"name {n}", n / 7) for n in range(1000)])
app = FastAPI()


class Item(BaseModel):
    """What is answered."""

    id: int
    name: str
    price: float
    tags: list[str]


@app.get("/items/{number}")
async def item(number: int) -> Item:
    """Look one up, and ask a service that takes 2 ms."""
    with closing(database.cursor()) as cursor:
        cursor.execute("select id, name, price from item where id = ?", (number % 1000,))
        found = cursor.fetchone()
    await asyncio.sleep(0.002)
    return Item(id=found[0], name=found[1], price=found[2], tags=["one", "two"])


def main() -> None:
    """Serve."""
    peers.serve(app)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", loop="asyncio"))
    threading.Thread(target=tell, args=(server,), daemon=True).start()
    server.run()
    facts = end()
    print(json.dumps({"cpu_ns": time.process_time_ns()} | facts), flush=True)


def tell(server: uvicorn.Server) -> None:
    """Print the address once it is known, and end the server with the input."""
    while not server.started:
        time.sleep(0.01)
    print(f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", flush=True)
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    main()
