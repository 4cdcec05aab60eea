"""Runs in the program's interpreter before its first line: `microdelay run` puts this folder on PYTHONPATH.

It takes itself out of the way (path, environment, module), lets the user's own sitecustomize run as it would have, and
starts the recorder. It fails open: whatever goes wrong here, the program runs.
"""

import os
import sys


def _step_aside() -> str:
    """Undo what the launcher did to this process, and give the launcher's request."""
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != folder]
    before = os.environ.pop("MICRODELAY_PYTHONPATH", None)
    if before is None:
        os.environ.pop("PYTHONPATH", None)
    else:
        os.environ["PYTHONPATH"] = before
    return os.environ.pop("MICRODELAY_RUN", "")


def _start(request: str) -> None:
    try:
        from microdelay.record import launch

        launch.begin(request)
    except Exception as error:
        sys.stderr.write(f"microdelay: not recording, the recorder could not start: {error!r}\n")


_request = _step_aside()
_self = sys.modules.pop("sitecustomize")
try:
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401  # the user's own, with our folder off the path
except ImportError as _error:
    if _error.name != "sitecustomize":
        raise
finally:
    # The import system takes this module out and in again when it is done, so one of the name must be there.
    sys.modules.setdefault("sitecustomize", _self)
    if _request:
        _start(_request)
