"""For tests of rules and of programs that read recordings: timelines drawn as text."""

from __future__ import annotations

from microdelay.testing.drawing import draw

__all__ = ["draw"]
