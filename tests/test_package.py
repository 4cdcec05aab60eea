"""The package as it is imported: its public names, and how little of it the user's process loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

import microdelay

HEAVY = ("numpy", "rich", "asyncio", "http.client", "urllib.request", "ssl", "argparse", "sqlite3", "email")


def test_public_names():
    assert microdelay.__all__ == [
        "BufferLoggerFactory",
        "BufferedHandler",
        "LogBuffer",
        "MetricBuffer",
        "MicrodelayError",
        "TimedOut",
        "batched",
        "cached",
        "fan_out",
        "fan_out_map",
        "invalidate_tags",
        "loguru_sink",
        "span",
        "start",
        "stop",
        "structlog_processor",
        "trace",
    ]
    for name in microdelay.__all__:
        assert callable(getattr(microdelay, name))
        assert name in dir(microdelay)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        microdelay.nothing  # noqa: B018


def loaded_by(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_import_loads_nothing_heavy():
    plain = loaded_by("pass")
    assert not (loaded_by("import microdelay") - plain) & set(HEAVY)


def test_recorder_imports_no_library_that_it_watches(tmp_path):
    plain = loaded_by("pass")
    started = loaded_by(f"import microdelay; microdelay.start({str(tmp_path / 'a.mdr')!r})") - plain
    assert not started & {"numpy", "rich", "asyncio", "http.client", "requests", "httpx", "aiohttp", "ssl", "sqlite3"}


def test_names_of_functions_stay_functions_when_modules_are_loaded():
    import microdelay.commands.diagnose
    import microdelay.spans
    import microdelay.traces

    assert callable(microdelay.span)
    assert callable(microdelay.trace)
