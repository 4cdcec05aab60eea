"""What the user's source says about two calls: does the second need what the first answered?

A function is executed on marks instead of values: `flow` asks the question, `walk` executes statements, `evaluate` and
`values` expressions, `taint` holds the state, `keeping` and `callees` know what called functions keep, read and write,
`source` has the parsed files.
"""

from __future__ import annotations
