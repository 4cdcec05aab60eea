"""Imports in functions, and pauses of the garbage collector."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from microdelay.traces import Recording

Record = Callable[..., Recording]

SLOW = "import time\ntime.sleep(0.02)\n"


def test_imports_in_functions_are_seen_and_large_ones_inside_of_them(recording: Record, tmp_path: Path) -> None:
    (tmp_path / "outer_module.py").write_text(f"import inner_module\n{SLOW}")
    (tmp_path / "inner_module.py").write_text(SLOW)
    (tmp_path / "early_module.py").write_text(SLOW)
    (tmp_path / "failing_module.py").write_text(f"{SLOW}1 / 0\n")
    (tmp_path / "named_module.py").write_text(SLOW)
    made = recording(
        """
        import early_module, importlib
        def work():
            import outer_module
            import outer_module
            importlib.import_module("named_module")
            try: import failing_module
            except ZeroDivisionError: pass
        work()
        """
    )
    found = {span.name: span for span in made.spans if span.kind == "import" and span.name.endswith("_module")}
    assert list(found) == ["outer_module", "inner_module", "named_module", "failing_module"]
    assert made.parents[found["inner_module"].id] == found["outer_module"].id
    assert found["failing_module"].error == "ZeroDivisionError"
    places = [(span.site.function, span.site.line) for span in found.values() if span.site]
    assert places == [("work", 4), ("<module>", 1), ("work", 6), ("work", 7)]


def test_long_collections_stand_in_the_task_or_thread_that_they_stop(recording: Record) -> None:
    made = recording(
        """
        import asyncio, gc, threading
        def collect():
            many = [{number: [number]} for number in range(200_000)]
            gc.collect()
        async def task(): collect()
        async def main(): await asyncio.create_task(task())
        asyncio.run(main())
        thread = threading.Thread(target=collect, name="a thread")
        thread.start(); thread.join()
        """,
        with_pauses=True,
    )
    pauses = [span for span in made.spans if span.kind == "gc"]
    assert {made.activities[span.activity].name for span in pauses} >= {"task", "a thread"}
    assert min(span.duration_ns for span in pauses) >= 1_000_000
    assert {span.attributes["generation"] for span in pauses} >= {2}
