"""start() and stop(): placeholder while the recorder is being written."""


def start() -> None:
    """Start recording."""


def stop() -> None:
    """Stop recording."""
