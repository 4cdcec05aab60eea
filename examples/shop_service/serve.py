"""Serves the shop with uvicorn, prints its address, and runs until Ctrl-C; starts what it needs unless that runs."""

from __future__ import annotations

import argparse
from contextlib import suppress

import services
import uvicorn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the port to listen on (default: a free one)")
    parser.add_argument("--loop", choices=("asyncio", "uvloop"), default="asyncio", help="(default: %(default)s)")
    arguments = parser.parse_args()
    with services.available():
        config = uvicorn.Config(
            "app:app", host="127.0.0.1", port=arguments.port, loop=arguments.loop, log_level="warning"
        )
        socket = config.bind_socket()
        socket.listen()
        print(f"http://127.0.0.1:{socket.getsockname()[1]}", flush=True)
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[socket])


if __name__ == "__main__":
    main()
