"""From a file to immutable traces: reading a recording, finding its units of work."""

from __future__ import annotations

from microdelay.traces.assemble import assemble
from microdelay.traces.model import Activity, Invocation, Recording, Sample, Step, Trace
from microdelay.traces.recording import read

__all__ = ["Activity", "Invocation", "Recording", "Sample", "Step", "Trace", "assemble", "read"]
