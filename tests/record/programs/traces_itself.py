"""Trace functions, set before and after waits, see what they always saw."""

import sys
import time

seen = []


def tracer(frame, event, argument):
    if frame.f_code.co_filename == __file__:
        seen.append((frame.f_code.co_name, event, frame.f_lineno))
    return tracer


def inner():
    time.sleep(0.001)
    return 1


def outer():
    inner()
    sys.settrace(tracer)
    inner()
    sys.settrace(None)
    inner()
    sys._getframe().f_trace = tracer
    sys.settrace(tracer)
    inner()
    sys.settrace(None)


outer()
sys.settrace(tracer)
outer()
sys.settrace(None)
print(seen)
