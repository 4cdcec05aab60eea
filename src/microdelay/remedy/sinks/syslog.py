"""Syslog over UDP, TCP and TLS (RFC 5424, 5426, 6587, 5425)."""

from __future__ import annotations

import os
import socket
import ssl
import sys
from collections.abc import Sequence
from time import monotonic
from typing import Final, Literal

from microdelay.errors import RemedyError
from microdelay.remedy.sinks.records import as_batch, decode
from microdelay.remedy.sinks.sink import PartlyRefusedError
from microdelay.remedy.sinks.syslog_line import message, name

MAX_BYTES: Final = {"udp": 2048, "tcp": 8192}
"""What every receiver should take: RFC 5424, 6.1, for UDP; for TCP, what rsyslog takes by default (8K)."""

USER_LEVEL: Final = 1
"""The facility of programs (RFC 5424, table 1)."""


class SyslogSink:
    """Sends each record as a message of RFC 5424, by "udp", or by "tcp" with octets counted (RFC 6587) and maybe TLS.

    The message is the record's, its `level` the severity, its `logger` the MSGID; the other fields and the record's id
    are structured data under `sd_id`, whose number (IANA's "private enterprise number") should be your own. `facility`
    is a number from 0 to 23. A message is cut at `max_bytes`.

    Syslog does not answer. Over UDP what is lost is lost without a word. Over TCP a connection that the receiver has
    closed is noticed before a batch, but what was in flight when it broke may be lost, and a batch that broke off is
    sent again, where receivers can tell repetitions by the id. Over either, use another sink for what must arrive.

    Raises `RemedyError` for an option that cannot work.
    """

    def __init__(
        self,
        host: str,
        port: int = 514,
        *,
        protocol: Literal["udp", "tcp"] = "udp",
        tls: ssl.SSLContext | None = None,
        facility: int = USER_LEVEL,
        app_name: str | None = None,
        sd_id: str = "fields@32473",
        max_bytes: int | None = None,
    ) -> None:
        if protocol not in MAX_BYTES or (tls is not None and protocol != "tcp"):
            raise RemedyError(f"protocol must be 'udp', or 'tcp' with or without tls=, not {protocol!r}")
        if not 0 <= facility <= 23:
            raise RemedyError(f"facility must be from 0 to 23, not {facility!r}")
        self._address, self._protocol, self._tls = (host, port), protocol, tls
        self._facility, self._sd_id = facility, name(sd_id, 32)
        self._max_bytes = max_bytes or MAX_BYTES[protocol]
        self._app_name = name(app_name or os.path.basename(sys.argv[0] or "python"), 48)
        self._socket: socket.socket | None = None

    def send(self, batch: Sequence[bytes], batch_id: str, timeout_s: float) -> None:
        """Send it. Raises `OSError` where the receiver is not there, `PartlyRefusedError` for what came too late."""
        deadline = monotonic() + timeout_s
        origin = f"{name(socket.gethostname(), 255)} {self._app_name} {os.getpid()}"
        lines = [
            message(decode(record), record_id, self._facility, origin, self._sd_id, self._max_bytes)
            for record_id, record in zip(as_batch(batch, batch_id).ids, batch, strict=True)
        ]
        connected = self._connected(timeout_s)
        try:
            if self._protocol == "udp":
                self._send_datagrams(connected, lines)
            else:
                connected.settimeout(max(deadline - monotonic(), 0.001))
                connected.sendall(b"".join(b"%d %b" % (len(line), line) for line in lines))
        except OSError:
            self._close()
            raise

    def forget(self) -> None:
        """Let go of the socket: closing a TLS connection would say goodbye in the parent's name."""
        if self._socket is not None:
            os.close(self._socket.detach())
        self._socket = None

    def _send_datagrams(self, connected: socket.socket, lines: list[bytes]) -> None:
        for at, line in enumerate(lines):
            try:
                connected.send(line)
            except OSError as error:
                if at == 0:
                    raise
                raise PartlyRefusedError({}, range(at, len(lines))) from error

    def _connected(self, timeout_s: float) -> socket.socket:
        if self._socket is not None and self._protocol == "tcp" and _is_closed(self._socket):
            self._close()
        if self._socket is None:
            self._socket = self._connect(timeout_s)
        return self._socket

    def _connect(self, timeout_s: float) -> socket.socket:
        if self._protocol == "udp":
            family, kind, number, _, address = socket.getaddrinfo(*self._address, type=socket.SOCK_DGRAM)[0]
            datagrams = socket.socket(family, kind, number)
            datagrams.settimeout(timeout_s)
            datagrams.connect(address)
            return datagrams
        stream = socket.create_connection(self._address, timeout_s)
        try:
            return self._tls.wrap_socket(stream, server_hostname=self._address[0]) if self._tls else stream
        except BaseException:
            stream.close()
            raise

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def _is_closed(connected: socket.socket) -> bool:
    """Whether the receiver has closed its end; it has nothing to say otherwise."""
    connected.settimeout(0)
    try:
        return not connected.recv(4096)
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
