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


def _start(request: str, loaded: frozenset[str]) -> None:
    try:
        from microdelay.record import launch

        launch.begin(request, loaded)
    except Exception as error:
        sys.stderr.write(f"microdelay: not recording, the recorder could not start: {error!r}\n")


_loaded = frozenset(sys.modules)
_request = _step_aside()
del sys.modules["sitecustomize"]
try:
    # The user's own, with our folder off the path. An error in it is the user's too, above all that there is none:
    # then the interpreter goes on as if there had never been this module.
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
finally:
    if _request:
        _start(_request, _loaded)
