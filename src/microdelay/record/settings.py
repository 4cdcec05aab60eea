"""What a recording is asked for, in a form that is handed from process to process."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False  # that of typing, which the launcher need not load
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any, TypedDict, Unpack

    class Options(TypedDict, total=False):
        """What a recording may be asked for, by name."""

        command: Sequence[str]
        follow: bool
        keep: int
        max_bytes: int
        max_overhead: float
        max_seconds: float
        recording: str
        sample: float
        sampler: bool
        trace_root: str
        user_code: Sequence[str]


DEFAULT_MAX_BYTES = 1_000_000_000
"""A recording stops here unless it rotates, so that a forgotten one does not fill the disk."""

DEFAULT_MAX_OVERHEAD = 0.05
"""Of one core, that recording may take: what a service can spare."""

MIN_BYTES = 100_000
"""Below this a file holds little more than what each must begin with."""

OFF = "MICRODELAY_OFF"
"""The variable that, unless empty or 0, has nothing installed."""

_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SECONDS = {"": 1, "S": 1, "M": 60, "MIN": 60, "H": 3600, "D": 86400}


_DEFAULTS: dict[str, Any] = {
    "command": (), "follow": True, "keep": 1, "max_bytes": 0, "max_overhead": DEFAULT_MAX_OVERHEAD, "max_seconds": 0,
    "recording": "", "sample": 1.0, "sampler": True, "trace_root": "", "user_code": (),
}  # fmt: skip


class Settings:
    """`max_bytes` and `max_seconds` are 0 where they were not asked for; `keep` counts the older files.

    Raises TypeError for a name that is not known, ValueError for a number that makes no sense.
    """

    __slots__ = ("path", *_DEFAULTS)
    command: Sequence[str]
    follow: bool
    keep: int
    max_bytes: int
    max_overhead: float
    max_seconds: float
    path: str
    recording: str
    sample: float
    sampler: bool
    trace_root: str
    user_code: Sequence[str]

    def __init__(self, path: str = "", **asked: Unpack[Options]) -> None:
        if unknown := asked.keys() - _DEFAULTS.keys():
            raise TypeError(f"unknown setting: {', '.join(sorted(unknown))}; known: {', '.join(_DEFAULTS)}")
        self.path = path
        for name, value in (_DEFAULTS | dict(asked)).items():
            setattr(self, name, value)
        for name in ("max_overhead", "sample"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r} is not above 0 and up to 1")
        for name in ("keep", "max_bytes", "max_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)!r} is below 0")

    def as_dict(self) -> dict[str, Any]:
        """Give what makes the same settings again."""
        return {name: getattr(self, name) for name in self.__slots__}


def default_path(program: str) -> str:
    """Give `NAME-DATE-TIME-PID.mdr` in the working directory."""
    stem = os.path.splitext(os.path.basename(program))[0] or "recording"
    return f"{stem}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.mdr"


def size(text: str) -> int:
    """Read `100MB`. Raises ValueError."""
    return int(_measure(text, _BYTES, MIN_BYTES))


def duration(text: str) -> float:
    """Read `90s`, `15m`, `1h`, `7d` as seconds. Raises ValueError."""
    return _measure(text, _SECONDS, 1)


def share(text: str) -> float:
    """Read `0.05` or `5%`. Raises ValueError."""
    value = _number(text.removesuffix("%"), text) / (100 if text.endswith("%") else 1)
    if not 0 < value <= 1:
        raise ValueError(f"{text!r} is not above 0 and up to 1")
    return value


def count(text: str) -> int:
    """Read a number of files. Raises ValueError."""
    value = _number(text, text)
    if not 0 <= value <= 1000 or value != int(value):
        raise ValueError(f"{text!r} is not a whole number from 0 to 1000")
    return int(value)


def switch(text: str) -> bool:
    """Read `1` or `0`: a switch is off if it is empty or 0."""
    return text not in ("", "0")


def is_switched_off(environment: Mapping[str, str]) -> bool:
    """Tell whether nothing is to be installed."""
    return switch(environment.get(OFF, ""))


def paths(text: str) -> list[str]:
    """Read folders with colons between them, as PATH has them."""
    return [os.path.realpath(each) for each in text.split(os.pathsep) if each]


def _number(text: str, whole: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{whole!r} is not a number") from None


def _measure(text: str, units: dict[str, int], least: int) -> float:
    stripped = text.strip()
    number = stripped.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = stripped[len(number) :].strip().upper()
    if unit not in units:
        raise ValueError(f"{text!r} has an unknown unit; known: {', '.join(each for each in units if each)}")
    value = _number(number, text) * units[unit]
    if not least <= value < 1e18:
        raise ValueError(f"{text!r} is too small or too large")
    return value
