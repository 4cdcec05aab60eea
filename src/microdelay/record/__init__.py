"""The recorder: what lives in the user's process and writes down what it waits for. Standard library only."""

from __future__ import annotations

from microdelay.record.activities import handed_over
from microdelay.record.explicit import span, trace
from microdelay.record.session import start, stop

__all__ = ["handed_over", "span", "start", "stop", "trace"]
