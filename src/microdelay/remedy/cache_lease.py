"""How processes that share a cache agree on who calls: what to ask the server, without asking it.

A generator gives what is to be done, and is sent what came of it, so that threads and tasks use the same words.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final

from microdelay.remedy.cache_codec import Codec, Unshareable
from microdelay.remedy.cache_options import Options

Command = tuple[str | bytes | int, ...]

LEASE_MS: Final = 3000
"""For so long nobody takes over from a process that died while it called. One that lives renews it at each third."""

FAILED_MS: Final = 2000
"""How long those who waited can see that the call failed: many times their longest pause."""

FIRST_PAUSE_S: Final = 0.001
LONGEST_PAUSE_S: Final = 0.05
"""Pauses of a process that waits for another's call: each is half as long again as the one before."""

HAND_OVERS: Final = 3
"""Calls of others that one process waits for, one after the other, before it calls by itself."""

EPOCH_MS: Final = 24 * 3600 * 1000
"""At least so long a tag's epoch is remembered. Without it what was kept under it is no longer found."""

# Takes the lease if it is free, or its call failed (but not for those who waited for that call): who has it.
ACQUIRE: Final = """
local held = redis.call('GET', KEYS[1])
if held and held == '!' .. ARGV[3] then return held end
if not held or held == ARGV[1] or string.sub(held, 1, 1) == '!' then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return ARGV[1]
end
return held
"""
# The result, only from who still has the lease: one that was invalidated or taken over has not.
COMMIT: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[2], ARGV[2]) else redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3]) end
redis.call('DEL', KEYS[1])
return 1
"""
FAIL: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '!' .. ARGV[1], 'PX', ARGV[2])
return 1
"""
RELEASE: Final = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
RENEW: Final = (
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return 0"
)


class Unreachable(Exception):  # noqa: N818 - no error: the function is called instead
    """The server gives no answer, or none that helps."""


@dataclass(frozen=True, slots=True)
class Load:
    """Call the function."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait for so long."""

    seconds: float


@dataclass(slots=True)
class Place:
    """Where a result is kept, who may write it, and what it stands and falls with: its function's and tags' epochs."""

    entry: str
    lease: str
    epochs: tuple[str, ...]


Step = Load | Pause | list[Command]


class SharedCall:
    """One call whose result other processes may have. Iterate over `steps`; `found` says that it was not made."""

    def __init__(self, place: Place, options: Options, codec: Codec) -> None:
        self.found = self.unshared = False
        self.token = uuid.uuid4().hex.encode()
        self.place = place
        self.leads = False
        self._options, self._codec = options, codec

    def steps(self) -> Generator[Step, Any, object]:
        """What to do; returns the result."""
        read: Command = ("MGET", self.place.entry, *self.place.epochs)
        replies = yield from _ask([read])
        if replies is not None and self._read(replies[0]):
            return self._value
        waited, pause, hand_overs = b"", FIRST_PAUSE_S, 0
        while replies is not None:
            acquire: Command = ("EVAL", ACQUIRE, 1, self.place.lease, self.token, LEASE_MS, waited)
            replies = yield from _ask([acquire, *self._open_epochs(), read])
            if replies is None:
                break
            holder = replies[0]
            self.leads = holder == self.token
            if self._read(replies[-1]):
                if self.leads:
                    yield from self._give_up(RELEASE)
                return self._value
            if self.leads:
                return (yield from self._lead(replies[-1][1:]))
            hand_overs += holder != waited
            if holder.startswith(b"!") or hand_overs > HAND_OVERS:
                break
            waited = holder
            yield Pause(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)
        return (yield Load())

    def _lead(self, epochs: list[bytes | None]) -> Generator[Step, Any, object]:
        try:
            value = yield Load()
        except BaseException as error:
            # Those who waited call for themselves after an error, and hand on after a cancellation.
            yield from self._give_up(FAIL if isinstance(error, Exception) else RELEASE)
            raise
        try:
            data = self._codec.encode(value)
        except Unshareable:
            self.unshared = True
            yield from self._give_up(FAIL)
            return value
        ttl_s = self._options.ttl_of(value)
        if ttl_s <= 0 or None in epochs:
            yield from self._give_up(FAIL)
            return value
        written = b",".join(epoch or b"" for epoch in epochs) + b"\n" + data
        ttl_ms = 0 if math.isinf(ttl_s) else max(1, round(ttl_s * 1000))
        yield from _ask([("EVAL", COMMIT, 2, self.place.lease, self.place.entry, self.token, written, ttl_ms)])
        self.leads = False
        return value

    def _give_up(self, script: str) -> Generator[Step, Any, None]:
        self.leads = False
        after: Command = (FAILED_MS,) if script is FAIL else ()
        yield from _ask([("EVAL", script, 1, self.place.lease, self.token, *after)])

    def _open_epochs(self) -> list[Command]:
        ttl_s = self._options.ttl
        alive: Command = () if math.isinf(ttl_s) else ("PX", max(EPOCH_MS, round(ttl_s * 2000)))
        return [("SET", epoch, uuid.uuid4().hex, "NX", *alive) for epoch in self.place.epochs]

    def _read(self, reply: list[bytes | None]) -> bool:
        """Whether there is a result that is valid."""
        try:
            self.found, self._value = read_entry(reply, self._codec)
        except ValueError:  # written by something else: it is written anew
            self.found = False
        return self.found


def read_entry(reply: list[bytes | None], codec: Codec) -> tuple[bool, object]:
    """Whether there is a result that is valid in its epochs, and it. Raises what the codec raises."""
    entry, *epochs = reply
    if entry is None or None in epochs:
        return False, None
    told, _, data = entry.partition(b"\n")
    if told.split(b",") != epochs:
        return False, None
    return True, codec.decode(data)


def _ask(commands: list[Command]) -> Generator[Step, Any, list[Any] | None]:
    """The replies; None if there are none."""
    try:
        replies: list[Any] = yield commands
    except Unreachable:
        return None
    return replies
