"""What can go wrong, said to the person who typed the command.

    MicrodelayError            one clear line: what, where, what to do; exit status 2
    ├── UsageError             the command line asks for something that is not there
    ├── RecordingError         a file is no recording, or holds nothing to diagnose
    └── RemedyError            a remedy was configured in a way that cannot work

None of these is ever raised inside the user's program by the recorder.
"""

from __future__ import annotations


class MicrodelayError(Exception):
    """Base of every error that microdelay raises on purpose; `str(error)` is one line for a person."""


class UsageError(MicrodelayError):
    """The command line asks for something that is not there: a missing script, an unknown rule."""


class RecordingError(MicrodelayError):
    """A file is no recording, was written by a newer version, or holds nothing to diagnose."""


class RemedyError(MicrodelayError, ValueError):
    """A remedy was configured in a way that cannot work, e.g. an unknown sink."""
