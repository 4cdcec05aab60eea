"""A progress bar on standard error, at a terminal only, and only once the work takes longer than a moment."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    import rich.progress

PATIENCE_SECONDS = 0.7
"""Before a bar is shown: a short one would only flicker."""


class Progress:
    """Shows how far reading and diagnosing have come."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._since = time.monotonic()
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def reading(self, done: int, total: int) -> None:
        """Bytes read of bytes in all."""
        self._show("reading", done, total)

    def diagnosing(self, rule: str, done: int, total: int) -> None:
        """Rules done of rules in all."""
        self._show(rule, done, total)

    def _show(self, what: str, done: int, total: int) -> None:
        if not self._stream.isatty() or time.monotonic() - self._since < PATIENCE_SECONDS:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress as Bar

            self._bar = Bar(console=Console(file=self._stream), transient=True)
            self._task = self._bar.add_task(what, total=total)
            self._bar.start()
        assert self._task is not None
        self._bar.update(self._task, description=what, completed=done, total=total)
