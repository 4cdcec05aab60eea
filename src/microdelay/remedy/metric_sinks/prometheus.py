"""A text file for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from microdelay.remedy.exponential_histogram import ExponentialHistogram
from microdelay.remedy.metric_snapshot import MetricSnapshot, Series

BUCKETS_SCALE: Final = 1
"""Scale of the histograms' buckets in the file: their bounds are the powers of the root of 2, always the same ones, as
Prometheus adds them up over time and over files by their bounds."""


class PrometheusTextFile:
    """Writes running totals to `path` (it must end in .prom for the node exporter) at each flush.

    Prometheus wants totals since the start of the process, not of an interval: they are kept here. The file is
    replaced as a whole, so that nobody reads a half; each process needs a file of its own. What may not be in a name
    becomes `_`, and sums end in `_total`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._so_far = MetricSnapshot(0, 0)

    def send(self, snapshot: MetricSnapshot, timeout_s: float) -> None:
        """Add it to the totals, and write them. Raises OSError, and then has not added it."""
        so_far = _copy(self._so_far)
        so_far.merge(_copy(snapshot))
        _replace(self._path, "".join(_text(so_far)))
        self._so_far = so_far

    def forget(self) -> None:
        """What the parent counted is in its file."""
        self._so_far = MetricSnapshot(0, 0)


def _copy(snapshot: MetricSnapshot) -> MetricSnapshot:
    histograms = {}
    for series, histogram in snapshot.histograms.items():
        histograms[series] = ExponentialHistogram()
        histograms[series].merge(histogram)
    return MetricSnapshot(snapshot.start_ns, snapshot.end_ns, dict(snapshot.sums), dict(snapshot.gauges), histograms)


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)  # the collector runs as somebody else
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _text(snapshot: MetricSnapshot) -> Iterator[str]:
    families: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for series, total in snapshot.sums.items():
        name = _name(series.name.removesuffix("_total")) + "_total"
        families[name, "counter"].append(f"{name}{_labels(series)} {_number(total)}\n")
    for series, gauge in snapshot.gauges.items():
        name = _name(series.name)
        families[name, "gauge"].append(f"{name}{_labels(series)} {_number(gauge.value)}\n")
    for series, histogram in snapshot.histograms.items():
        name = _name(series.name)
        families[name, "histogram"].extend(_histogram(name, series, histogram))
    for (name, kind), lines in sorted(families.items()):
        yield f"# TYPE {name} {kind}\n"
        yield from lines


def _histogram(name: str, series: Series, histogram: ExponentialHistogram) -> Iterator[str]:
    coarse = histogram.lowered(BUCKETS_SCALE)
    seen = 0
    for _, high, count in coarse.buckets():
        seen += count
        if not math.isinf(high):
            yield f"{name}_bucket{_labels(series, high)} {seen}\n"
    yield f"{name}_bucket{_labels(series, math.inf)} {seen}\n"
    yield f"{name}_sum{_labels(series)} {_number(histogram.sum)}\n"
    yield f"{name}_count{_labels(series)} {histogram.count}\n"


def _labels(series: Series, bound: float | None = None) -> str:
    told = {_name(key).replace(":", "_"): str(value) for key, value in series.attributes}
    if bound is not None:
        told["le"] = _number(bound)
    text = ",".join(f'{key}="{_escaped(value)}"' for key, value in told.items())
    return f"{{{text}}}" if text else ""


def _escaped(text: str) -> str:
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _name(name: str) -> str:
    plain = re.sub(r"[^a-zA-Z0-9_:]", "_", name)
    return f"_{plain}" if not plain or plain[0].isdigit() else plain


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
