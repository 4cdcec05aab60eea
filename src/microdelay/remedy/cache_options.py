"""What a cache was asked to do, checked, and what it says it did."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from microdelay.errors import RemedyError

if TYPE_CHECKING:
    from microdelay.remedy.cache_codec import Codec

Tags = Iterable[str] | Callable[..., Iterable[str]]


class CacheStats(NamedTuple):
    """What a cache did.

    `hits` were answered from memory, `misses` called the function, and `joined` waited for a call under way.
    `refreshes` were calls in the background, of which `failed_refreshes` raised. `evictions` had to make room, `size`
    entries are there, of `bytes` bytes (counted with `max_bytes=` only). With Redis `shared_hits` were answered from
    there, `unshared` results could not be written down exactly and were not kept, and `unreachable` times the server,
    over all functions that use it, was not asked or gave no answer.
    """

    hits: int = 0
    misses: int = 0
    joined: int = 0
    evictions: int = 0
    size: int = 0
    bytes: int = 0
    refreshes: int = 0
    failed_refreshes: int = 0
    shared_hits: int = 0
    unshared: int = 0
    unreachable: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """The arguments of `cached`. Raises `RemedyError` for those that cannot work."""

    ttl: float
    max_size: int
    max_bytes: int | None
    key: Callable[..., object] | None
    copy: bool
    stale_while_revalidate: float
    early_refresh: float
    negative_ttl: float | None
    tags: Tags | None
    backend: str = "memory"
    prefix: str = "microdelay"
    version: int | str = 1
    codec: Codec | None = None

    def __post_init__(self) -> None:
        if not self.ttl > 0:
            raise RemedyError(f"ttl must be more than 0 seconds, not {self.ttl!r}")
        if self.max_size < 1:
            raise RemedyError(f"max_size must be at least 1, not {self.max_size!r}")
        if self.max_bytes is not None and self.max_bytes < 1:
            raise RemedyError(f"max_bytes must be at least 1, not {self.max_bytes!r}")
        for name in ("stale_while_revalidate", "early_refresh", "negative_ttl"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise RemedyError(f"{name} must be at least 0, not {value!r}")
        if math.isinf(self.early_refresh):
            raise RemedyError("early_refresh must be finite: 1.0 is the usual value")
        if isinstance(self.tags, str):
            raise RemedyError(f"tags must be several strings, not {self.tags!r}: write [{self.tags!r}]")

        if "{" in self.prefix or "}" in self.prefix:
            raise RemedyError(f"prefix must have no braces: {self.prefix!r}")
        if self.backend != "memory":
            for name in ("stale_while_revalidate", "early_refresh", "max_bytes"):
                if getattr(self, name):
                    raise RemedyError(f"{name} is for results in memory, and not for backend={self.scheme!r}")

    @property
    def scheme(self) -> str:
        """What the backend is, without what is secret."""
        return self.backend.partition("://")[0]

    def ttl_of(self, value: object) -> float:
        """For how many seconds a result is fresh; 0: it is not kept."""
        return self.ttl if value is not None or self.negative_ttl is None else self.negative_ttl
