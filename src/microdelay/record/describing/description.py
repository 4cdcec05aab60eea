"""The written form of one span's details."""

from __future__ import annotations

from collections.abc import Iterable

Attributes = dict[str, str | int | float | bool]


class Description:
    """What is written of one span besides its times.

    A `kind` takes the place of the one that the probe gave. Attributes that are the same object each time (`is_shared`)
    are known again faster.
    """

    __slots__ = ("attributes", "input", "is_shared", "kind", "name", "output", "received", "sent")

    def __init__(
        self,
        name: str,
        attributes: Attributes,
        input: int = 0,  # noqa: A002
        output: int = 0,
        sent: Iterable[int] = (),
        received: Iterable[int] = (),
        kind: str = "",
        is_shared: bool = False,
    ) -> None:
        self.name = name
        self.attributes = attributes
        self.input = input
        self.output = output
        self.sent = sent
        self.received = received
        self.kind = kind
        self.is_shared = is_shared
