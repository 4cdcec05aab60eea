"""Runs in an interpreter before the program's first line, where this folder is on PYTHONPATH.

It takes itself out of the way (path, environment, module), lets the user's own sitecustomize run as it would have, and
starts the recorder. It fails open: whatever goes wrong here, the program runs. Any Python may meet this file, so it
is written in the language that all of them understand.
"""

import os
import sys

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_OLDEST = (3, 11)


def _step_aside():  # type: () -> str | None
    """Undo what was done to this process, and give the request, None where nothing is asked."""
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _FOLDER]
    sys.path_importer_cache.pop(_FOLDER, None)
    before = os.environ.pop("MICRODELAY_PYTHONPATH", None)
    if before is None:
        entries = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
        before = os.pathsep.join(entry for entry in entries if os.path.abspath(entry) != _FOLDER)
        if before:
            os.environ["PYTHONPATH"] = before
    else:
        os.environ["PYTHONPATH"] = before
    request = os.environ.pop("MICRODELAY_RUN", None)
    return "" if request is None and os.environ.get("MICRODELAY_RECORD") else request


def _start(request, loaded):  # type: (str, frozenset[str]) -> None
    try:
        if sys.version_info < _OLDEST:
            _decline(request)
            return
        _find_package()
        from microdelay.record import enter

        remedy = os.environ.get("MICRODELAY_REMEDY", "")
        if remedy not in ("", "log-buffer"):
            raise ValueError("MICRODELAY_REMEDY=%s is not known; known: log-buffer" % remedy)  # noqa: UP031
        if remedy:
            # The recorder itself knows of no remedies. First, so that what it makes of the program is what is recorded.
            from microdelay.remedy import at_run_time

            at_run_time.install()
        enter.begin(request, loaded)
        if remedy:
            at_run_time.report_at_exit()  # last, so that it is done before the recording ends
    except Exception as error:
        sys.stderr.write("microdelay: not recording: %s\n" % _reason(error))  # noqa: UP031


def _reason(error):  # type: (Exception) -> str
    if isinstance(error, OSError) and error.filename is not None:
        return "%s: %s" % (error.filename, error.strerror)  # noqa: UP031
    if isinstance(error, ValueError):
        return str(error)
    return "the recorder could not start: %r" % (error,)  # noqa: UP031


def _find_package():  # type: () -> None
    """Make `microdelay` known where it is not installed, as in another virtual environment: it alone, nothing else."""
    from importlib.machinery import PathFinder

    if "microdelay" in sys.modules:
        return
    spec = PathFinder.find_spec("microdelay", [os.path.dirname(os.path.dirname(os.path.dirname(_FOLDER)))])
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["_frozen_importlib"].module_from_spec(spec)
    sys.modules["microdelay"] = module
    spec.loader.exec_module(module)


def _decline(request):  # type: (str) -> None
    """Have the recording say that this process is not in it."""
    import json
    import struct
    import zlib

    asked = json.loads(request)
    text = json.dumps([{"token": asked["token"], "pid": os.getpid(), "reason": "Python %d.%d" % sys.version_info[:2]}])  # noqa: UP031
    packed = zlib.compress(text.encode())
    head = struct.pack("<4sII", b"CHLD", len(packed), zlib.crc32(packed, zlib.crc32(b"CHLD")) & 0xFFFFFFFF)
    file = os.open(asked["settings"]["path"], os.O_WRONLY | os.O_APPEND)
    os.write(file, head + packed)
    os.close(file)


_loaded = frozenset(sys.modules)
_request = _step_aside()
del sys.modules["sitecustomize"]
try:
    # The user's own, with our folder off the path. An error in it is the user's too, above all that there is none:
    # then the interpreter goes on as if there had never been this module.
    import sitecustomize  # type: ignore[import-not-found]  # noqa: F401
finally:
    if _request is not None:
        _start(_request, _loaded)
