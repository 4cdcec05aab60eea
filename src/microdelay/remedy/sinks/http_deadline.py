"""An HTTP answer that must have come by a deadline: a service that sends a byte now and then does not hold us."""

from __future__ import annotations

import io
import socket
from http.client import HTTPResponse
from time import monotonic


class TimedResponse(HTTPResponse):
    """An answer that is read until a moment of the monotonic clock, in seconds, and not beyond."""

    def __init__(self, deadline: float, sock: socket.socket, *args: object, **options: object) -> None:
        super().__init__(_Timed(sock, deadline), *args, **options)  # type: ignore[arg-type]


class _Timed:
    """The part of a socket that `HTTPResponse` uses."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock, self._deadline = sock, deadline

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedFile(self._sock, self._deadline))


class _TimedFile(io.RawIOBase):
    def __init__(self, sock: socket.socket, deadline: float) -> None:
        super().__init__()
        self._sock, self._deadline = sock, deadline
        self._file = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int | None:  # type: ignore[override]
        # `settimeout` is for one wait; without this a service that sends byte by byte would start it anew each time.
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("the sink's answer took too long")
        self._sock.settimeout(left)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
