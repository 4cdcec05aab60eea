"""trio ≥ 0.22: its tasks as activities, seen by an instrument of our own, and its pauses.

What a task waits for is not told apart further: probes of libraries that run on trio (httpx) do that.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from types import ModuleType
from typing import Any

from microdelay.record import activities, calls, tasks
from microdelay.record.events import now, state
from microdelay.record.measure import Details, timed, timed_async
from microdelay.record.patches import replace, unnoticed
from microdelay.record.sampler import running_tasks
from microdelay.record.tasks import Life
from microdelay.record.trouble import stand_aside
from microdelay.spans import JOIN, SLEEP

_runs: dict[int, _Instrument] = {}
"""The instrument of the run in each thread."""


def install(trio: ModuleType) -> None:
    """Give each run an instrument, and time `trio.sleep`."""
    core = trio._core._run
    calls.end_stacks_at(core.unrolled_run.__code__)
    replace(core, "setup_runner", _instrumented)
    replace(trio, "run", lambda run: timed(run, JOIN, "trio.run", _main_task))
    replace(trio, "sleep", lambda sleep: timed_async(sleep, SLEEP, "trio.sleep", _pause, tasks.COALESCE_NS))


def _instrumented(setup_runner: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        runner = setup_runner(*args, **kwargs)
        if state.on:
            try:
                instrument = _runs[get_ident()] = _Instrument()
                runner.instruments.add_instrument(instrument)
                running_tasks[get_ident()] = instrument.running
            except Exception as problem:
                stand_aside("trio", problem)
        return runner

    return unnoticed(wrapper, setup_runner)


class _Instrument:
    """Follows the tasks of one run; trio drops an instrument that raises, and goes on."""

    def __init__(self) -> None:
        self.first = 0  # the activity of the task in which all others are
        self._lives: dict[Any, Life] = {}
        self._running: Life | None = None
        self._before = 0

    def running(self) -> int:
        """Give the activity of the task that runs, 0 between two."""
        life = self._running
        return life.id if life is not None else 0

    def task_spawned(self, task: Any) -> None:
        """Begin a life."""
        if not state.on:
            return
        nursery = task.parent_nursery
        creator = self._lives.get(nursery.parent_task) if nursery is not None else None
        parent, site = activities.here() if self._running is None else (self._running.id, calls.NOWHERE)
        if creator is not None:
            parent = creator.id
        life = self._lives[task] = tasks.created(task.coro, parent, site)
        life.is_quiet = life.was_quiet = False  # a trace without details has no waits here, but has its steps
        life.tell()
        self.first = self.first or life.id

    def task_scheduled(self, task: Any) -> None:
        """Note since when a task is ready, and by whom."""
        life = self._lives.get(task)
        if life is not None:
            life.ready = now()
            life.cause = self._running.id if self._running is not None else 0

    def before_task_step(self, task: Any) -> None:
        """Let what waits from here on be the task's."""
        life = self._lives.get(task)
        if life is not None and state.on:
            life.steps(task.coro, now())
            self._running = life
            self._before = activities.local.activity
            activities.local.activity = life.id

    def after_task_step(self, task: Any) -> None:
        """Let the thread be itself again."""
        life = self._running
        if life is not None:
            life.run_end = now()
            self._running = None
            activities.local.activity = self._before

    def task_exited(self, task: Any) -> None:
        """End a life; trio still calls `after_task_step`."""
        life = self._lives.pop(task, None)
        if life is not None and life.begun and state.on:
            life.ends(now())


def _main_task(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    running_tasks.pop(get_ident(), None)
    instrument = _runs.pop(get_ident(), None)
    return {"joins": (instrument.first,)} if instrument is not None else {}


def _pause(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Details:
    seconds = args[0] if args else kwargs.get("seconds")
    return {"seconds": float(seconds)} if isinstance(seconds, (int, float)) else {}
