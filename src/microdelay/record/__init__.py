"""The recorder: what lives in the user's process and writes down what it waits for. Standard library only."""

from __future__ import annotations

from microdelay._lazy import lazy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from microdelay.record.activities import handed_over as handed_over
    from microdelay.record.explicit import span as span
    from microdelay.record.explicit import trace as trace
    from microdelay.record.session import start as start
    from microdelay.record.session import stop as stop

__all__ = ["handed_over", "span", "start", "stop", "trace"]

# Looked up on first use: who only launches a program, or only opens a span, loads nothing else.
__getattr__, __dir__ = lazy(
    __name__,
    {
        "handed_over": "microdelay.record.activities",
        "span": "microdelay.record.explicit",
        "start": "microdelay.record.session",
        "stop": "microdelay.record.session",
        "trace": "microdelay.record.explicit",
    },
)
