"""A comparison at a terminal: predicted beside measured, in all and finding by finding."""

from __future__ import annotations

from typing import IO

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from microdelay.diagnose.comparison import Comparison, Outcome
from microdelay.diagnose.diagnosis import Diagnosis
from microdelay.diagnose.rule import Saving
from microdelay.report.text import write
from microdelay.report.units import duration, interval, share, short_path

_STATUS = {"gone": "green", "smaller": "green", "same": "yellow", "worse": "red"}


def render(compared: Comparison, file: IO[str]) -> None:
    """Write a comparison for a person."""
    lines: list[RenderableType] = [_whole(compared), Text(), _verdict(compared), Text()]
    if compared.outcomes:
        lines += [_findings(compared), Text()]
    lines += [
        Text(f"new: {each.rule} at {short_path(each.where.file)}:{each.where.line}, {each.what}", "red")
        for each in compared.new
    ]
    lines += [
        Text(
            f"slower: {each.operation[1]}, {duration(each.before_ns)} a trace before, {duration(each.after_ns)} now",
            "red",
        )
        for each in compared.slower
    ]
    if compared.unrelated:
        lines.insert(0, Text(f"! {compared.unrelated}", "bold yellow"))
    if not compared.new and not compared.slower:
        lines.append(Text("Nothing is new, nothing is slower.", "green"))
    write(file, Padding(Group(*lines), (1, 2, 1, 2), expand=False))


def _whole(compared: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title in ("a trace takes", "p50", "p95", "mean", "traces"):
        table.add_column(title, justify="left" if title == "a trace takes" else "right")
    before, after, predicted = compared.before.duration, compared.after.duration, compared.predicted
    rows = (
        ("before", before, _count(compared.before)),
        ("predicted" + " for what is changed" * compared.is_partial, predicted, ""),
        ("measured", after, _count(compared.after)),
    )
    for name, stats, traces in rows:
        table.add_row(name, duration(stats.p50), duration(stats.p95), duration(stats.mean), traces)
    return table


def _count(side: Diagnosis) -> str:
    detailed = f" ({len(side.traces):,} in detail)" if side.count > len(side.traces) else ""
    return f"{side.count:,}{detailed}"


def _verdict(compared: Comparison) -> Text:
    measured, before = compared.measured, compared.before.duration
    text = Text.assemble(
        "Saved ", (duration(measured.expected), "bold green" if measured.expected > 0 else "bold red"),
        f" a trace ({interval(measured.low, measured.high)}), {share(measured.expected, before.mean)} of it; ",
        f"predicted {duration(before.mean - compared.predicted.mean)}. ",
    )  # fmt: skip
    if min(compared.before.count, compared.after.count) == 1:
        text.append("There is one trace only: how far that would vary is not known. ")
    off = 100 * compared.error
    text.append(f"The measured median is {abs(off):.1f} % {'above' if off > 0 else 'below'} the predicted one.", "bold")
    return text


def _findings(compared: Comparison) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("finding", overflow="fold", ratio=1)
    table.add_column("", no_wrap=True)
    for title in ("predicted", "measured"):
        table.add_column(title, justify="right")
    for each in compared.outcomes:
        measured = _gain(each.measured) if each.measured else "shows in the whole only"
        table.add_row(_name(each), Text(each.status, _STATUS[each.status]), _gain(each.finding.saving), measured)
    return table


def _name(outcome: Outcome) -> Text:
    where = outcome.finding.where
    return Text(f"{outcome.finding.rule} {short_path(where.file)}:{where.line}")


def _gain(saving: Saving) -> str:
    return f"{duration(saving.expected)} ({interval(saving.low, saving.high)})"
