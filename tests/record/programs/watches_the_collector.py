"""A program with callbacks of the garbage collector of its own."""

import gc
import sys
import weakref

seen = []


class Own:
    pass


def note(phase, information):
    seen.append((phase, sorted(information)))


def fail(phase, information):
    raise KeyError(phase)


def leave(phase, information):
    gc.callbacks.remove(leave)


sys.unraisablehook = lambda problem: print(problem.exc_type, problem.object.__name__)
print(gc.callbacks, type(gc.callbacks), gc.get_count()[2] >= 0, gc.isenabled())
gc.callbacks.append(note)
weakref.finalize(Own(), print, "finalized")
held = gc.callbacks
gc.collect()
print(seen[-2:], held is gc.callbacks, gc.callbacks == [note])
gc.callbacks.insert(0, fail)
gc.collect()
gc.callbacks[:] = [leave, note]
seen.clear()
gc.collect(0)
gc.collect(0)
print(len(seen) >= 3, gc.callbacks == [note])
gc.callbacks.clear()
seen.clear()
gc.collect()
print(seen, gc.callbacks)
