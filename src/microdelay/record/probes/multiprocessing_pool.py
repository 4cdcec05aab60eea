"""`multiprocessing.Pool`: waiting for the results of what other processes (or threads) do."""

from __future__ import annotations

from types import ModuleType

from microdelay.record.families.waits import cover, waiting, waiting_until
from microdelay.record.patches import replace
from microdelay.spans import JOIN


def install(pool: ModuleType) -> None:
    """Time `get` and `wait`, which `apply`, `map` and `starmap` are made of, and the iterators of `imap`."""
    replace(pool.ApplyResult, "get", waiting_until(JOIN, "AsyncResult.get"))
    replace(pool.ApplyResult, "wait", waiting_until(JOIN, "AsyncResult.wait"))
    cover(pool.IMapIterator.next, JOIN, "Pool.imap")  # its waits are seen in `Condition.wait`
    replace(pool.Pool, "join", waiting(JOIN, "Pool.join"))
