"""From traces to findings: what is slow, whether it may be changed, and what changing it would save."""

from __future__ import annotations
