"""What a recording is asked for, in a form that is handed from process to process."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False  # that of typing, which the launcher need not load
if TYPE_CHECKING:
    from typing import Any

DEFAULT_MAX_BYTES = 1_000_000_000
"""A recording stops here unless it rotates, so that a forgotten one does not fill the disk."""

MIN_BYTES = 100_000
"""Below this a file holds little more than what each must begin with."""

_BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SECONDS = {"": 1, "S": 1, "M": 60, "MIN": 60, "H": 3600, "D": 86400}


class Settings:
    """`max_bytes` and `max_seconds` are 0 where they were not asked for; `keep` counts the older files."""

    __slots__ = (
        "command", "follow", "keep", "max_bytes", "max_seconds", "path", "recording", "sample", "sampler",
        "trace_root", "user_code",
    )  # fmt: skip

    def __init__(
        self,
        path: str = "",
        *,
        recording: str = "",
        command: list[str] | None = None,
        trace_root: str = "",
        user_code: list[str] | None = None,
        sampler: bool = True,
        follow: bool = True,
        sample: float = 1.0,
        max_bytes: int = 0,
        max_seconds: float = 0,
        keep: int = 1,
    ) -> None:
        self.path = path
        self.recording = recording
        self.command = command or []
        self.trace_root = trace_root
        self.user_code = user_code or []
        self.sampler = sampler
        self.follow = follow
        self.sample = sample
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self.keep = keep

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
    value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 < value <= 1:
        raise ValueError(f"{text!r} is not above 0 and up to 1")
    return value


def count(text: str) -> int:
    """Read a number of files. Raises ValueError."""
    value = int(text)
    if not 0 <= value <= 1000:
        raise ValueError(f"{text!r} is not from 0 to 1000")
    return value


def _measure(text: str, units: dict[str, int], least: int) -> float:
    stripped = text.strip()
    number = stripped.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    unit = stripped[len(number) :].strip().upper()
    if unit not in units:
        raise ValueError(f"{text!r} has an unknown unit; known: {', '.join(each for each in units if each)}")
    value = float(number) * units[unit]
    if not least <= value < 1e18:
        raise ValueError(f"{text!r} is too small or too large")
    return value
