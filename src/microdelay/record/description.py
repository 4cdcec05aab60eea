"""The written form of one span's details."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

Attributes = dict[str, str | int | float | bool]


@dataclass(slots=True)
class Description:
    """What is written of one span besides its times.

    A `kind` takes the place of the one that the probe gave. Attributes that are the same object each time (`is_shared`)
    are known again faster.
    """

    name: str
    attributes: Attributes
    input: int = 0
    output: int = 0
    sent: Iterable[int] = field(default_factory=tuple)
    received: Iterable[int] = field(default_factory=tuple)
    kind: str = ""
    is_shared: bool = False
