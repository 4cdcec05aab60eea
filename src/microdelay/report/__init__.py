"""Reports: the same diagnosis for a person at a terminal and for a program."""

from __future__ import annotations
