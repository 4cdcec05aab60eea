"""Where a trace is declared at its start: a request that the program answers, an agent's turn, a mark by hand.

Here it is decided whether the trace is recorded in detail, and of one that is not, the root is written at its end.
"""

from __future__ import annotations

from _thread import get_ident

from microdelay.record import activities, budget
from microdelay.record.details import MUTED, Trace, muted_threads, running
from microdelay.record.events import ROOT, Label, now, push, state
from microdelay.record.layout import ROOT_KINDS
from microdelay.record.trouble import stand_aside


def begin(kind: str, endpoint: str) -> Trace | None:
    """Begin a trace, unless one runs already or everything is recorded; what is given is for `end`."""
    governor = budget.current
    if governor is None or not state.on:
        return None
    try:
        around = running.get()
        if around is not None and not around.is_over:
            if around and kind not in around:
                around.append(kind)
            return None
        if governor.chooses(endpoint):
            trace = Trace()
            budget.rouse()
            _speak(trace)
        else:
            trace = Trace((kind,))
            if state.asleep:
                trace.nap = state.naps
            life = activities.known_life()
            if life is None:
                trace.thread = get_ident()
                muted_threads[trace.thread] = trace
            elif life and not life.is_quiet:
                life.hush(now())
        running.set(trace)
    except Exception as problem:
        stand_aside("begin of a trace", problem)
        return None
    return trace


def _speak(trace: Trace) -> None:
    """Let what went unseen, or is left of an earlier trace without details (a worker that it began), be seen again."""
    trace.life = life = activities.running_life()
    if life is not None:
        if life.is_quiet or life.nap != state.naps or not life.begun:
            life.speak(now())
    elif activities.local.activity == MUTED:
        activities.local.activity = 0
        activities.by_thread.pop(get_ident(), None)


def end(trace: Trace, label: Label | None = None, start_ns: int = 0, end_ns: int = 0) -> None:
    """End a trace; of one without details, queue its root (ROOT, label, start_ns, end_ns, bits of the roots' kinds)."""
    try:
        trace.is_over = True
        running.set(None)
        if not trace:
            state.active -= 1
            if trace.life is None:  # else when this step of the task has ended
                budget.rest()
            return
        if label is not None and state.on:
            bits = ROOT_KINDS[trace[0]] if len(trace) == 1 else sum([ROOT_KINDS[kind] for kind in trace])
            push((ROOT, label, start_ns, end_ns, bits))
        if not state.asleep or trace.nap != state.naps:  # else nobody watched its task meanwhile
            life = activities.known_life()
            if life and life.is_quiet:
                life.speak(now())
        if trace.thread and muted_threads.get(trace.thread) is trace:
            del muted_threads[trace.thread]
        trace.clear()  # where it is still known, it mutes no more
    except Exception as problem:
        stand_aside("end of a trace", problem)
