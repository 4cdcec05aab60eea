"""A text file for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

import math
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator
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
    becomes `_`, and sums end in `_total`; series that are the same then are added up.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path)
        self._so_far = MetricSnapshot(0, 0)

    def send(self, snapshot: MetricSnapshot, timeout_s: float) -> None:
        """Add it to the totals, and write them. Raises OSError, and then has not added it."""
        so_far = MetricSnapshot(self._so_far.start_ns, self._so_far.end_ns)
        for part in (self._so_far, snapshot):
            so_far.merge(_translated(part))
        _replace(self._path, "".join(_text(so_far)))
        self._so_far = so_far

    def forget(self) -> None:
        """What the parent counted is in its file."""
        self._so_far = MetricSnapshot(0, 0)


def _translated(snapshot: MetricSnapshot) -> MetricSnapshot:
    """A copy with the names that Prometheus allows; those that become the same are one series, as in the file."""
    copy = MetricSnapshot(snapshot.start_ns, snapshot.end_ns)
    for series, total in snapshot.sums.items():
        renamed = _series(series, _name(series.name.removesuffix("_total")) + "_total")
        copy.sums[renamed] = copy.sums.get(renamed, 0) + total
    for series, gauge in sorted(snapshot.gauges.items(), key=lambda item: item[1].time_ns):
        copy.gauges[_series(series, _name(series.name))] = gauge
    for series, histogram in snapshot.histograms.items():
        copy.histograms.setdefault(_series(series, _name(series.name)), ExponentialHistogram()).merge(histogram)
    return copy


def _series(series: Series, name: str) -> Series:
    labels = {_label(key): str(value) for key, value in series.attributes}
    return Series(name, tuple(sorted(labels.items())))


def _label(key: str) -> str:
    """The name of a label; one that is reserved gets the prefix that Prometheus gives to such a one."""
    label = _name(key).replace(":", "_")
    return f"exported_{label}" if label == "le" or label.startswith("__") else label


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
        families[series.name, "counter"].append(f"{series.name}{_labels(series)} {_number(total)}\n")
    for series, gauge in snapshot.gauges.items():
        name = _free(series.name, "gauge", families)
        families[name, "gauge"].append(f"{name}{_labels(series)} {_number(gauge.value)}\n")
    for series, histogram in snapshot.histograms.items():
        name = _free(series.name, "histogram", families)
        families[name, "histogram"].extend(_histogram(name, series, histogram))
    for (name, kind), lines in sorted(families.items()):
        yield f"# TYPE {name} {kind}\n"
        yield from lines


def _free(name: str, kind: str, families: Collection[tuple[str, str]]) -> str:
    """The name, or another where a family of another kind has it: a file with both would be refused as a whole."""
    taken = any((name, other) in families for other in ("counter", "gauge", "histogram") if other != kind)
    return f"{name}_{kind}" if taken else name


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
    told = {key: str(value) for key, value in series.attributes}
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
