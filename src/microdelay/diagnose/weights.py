"""What each trace with details stands for, where the recorder's budget left others without.

Those with details are a random part of the traces of each name, so each stands for as many of that name as there are
to one with details (post-stratification; Holt & Smith 1979). Without such others each stands for itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from microdelay.traces.model import Trace
from microdelay.traces.outlines import Outlines

Floats = npt.NDArray[np.float64]


def weights(traces: Sequence[Trace], others: Outlines) -> Floats | None:
    """Give the weight of each trace, None where all are the same; of names that none of them has, nothing is known."""
    if not len(others):
        return None
    names = [trace.root.name if trace.root is not None else "" for trace in traces]
    known, missing = Counter(names), others.names()
    return np.array([1 + missing[name] / known[name] for name in names], dtype=float)


def percentile(values: Floats, share: float, weights: Floats | None) -> float:
    """Give the weighted percentile: the value below which `share` % of the weight lies."""
    if weights is None:
        return float(np.percentile(values, share))
    order = np.argsort(values)
    middles = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(share / 100 * weights.sum(), middles, values[order]))
