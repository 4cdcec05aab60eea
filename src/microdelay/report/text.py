"""The diagnosis at a terminal: the head, the findings with their remedies, and what the figures rest on."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import IO

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from microdelay.diagnose.dataflow.flow import DEPENDENT, INDEPENDENT, UNKNOWN, Verdict
from microdelay.diagnose.diagnosis import Diagnosis
from microdelay.diagnose.dominance import Dominant
from microdelay.diagnose.plan import Step
from microdelay.diagnose.price import Fleet
from microdelay.diagnose.rule import Finding, Saving
from microdelay.report.units import duration, interval, libraries, share, short_path, three_digits
from microdelay.spans import Place

PLAIN_WIDTH = 120
"""Columns of the report where it goes to a file or a pipe."""

MAX_PLACES = 6
"""Further lines of a finding that are listed."""

MAX_ACCOUNTS = 6
"""Accounts of time that are named; the rest is added up."""

_VERDICTS = {
    INDEPENDENT: ("green", "independent"),
    DEPENDENT: ("red", "dependent"),
    UNKNOWN: ("yellow", "not certain"),
}


def write(file: IO[str], *parts: RenderableType) -> None:
    """Write a report: as wide as the terminal, plain and of fixed width elsewhere."""
    if file.isatty():
        Console(file=file, highlight=False, emoji=False).print(*parts, sep="\n")
        return
    plain = io.StringIO()
    Console(file=plain, width=PLAIN_WIDTH, highlight=False, emoji=False).print(*parts, sep="\n")
    file.writelines(f"{line.rstrip()}\n" for line in plain.getvalue().splitlines())


def render(found: Diagnosis, file: IO[str], show_ignored: bool = False, steps: Sequence[Step] | None = None) -> None:
    """Write a diagnosis for a person; with `show_ignored`, what is left out as well; with `steps`, its plan."""
    remedied = [finding for finding in found.findings if finding.edits]
    findings = [_finding(number, finding, found) for number, finding in enumerate(remedied, 1)]
    if found.dominant and remedied:
        findings = [_rest(remedied)]
    if not remedied:
        findings = [Padding(Text("Nothing found that a remedy of ours would make faster.", "green"), (0, 2, 1, 2))]
    if steps:
        findings.append(_planned(steps))
    write(file, _head(found), *findings, _foot(found, show_ignored))


def _head(found: Diagnosis) -> RenderableType:
    program = " ".join(found.recording.meta.get("command", ())) or short_path(found.recording.path)
    names = sorted({trace.name for trace in found.traces})
    traces = f"{found.count:,} trace{'s' if found.count != 1 else ''} of {', '.join(names[:3])}"
    title = Text.assemble(("microdelay", "bold"), "  ", program, "  ·  ", traces)
    lines = [title, Text(), _summary(found)]
    if found.dominant is not None:
        lines.insert(2, _dominated(found, found.dominant))
    elif found.saving.expected:
        lines.append(_bill(found.saving, found.fleet))
    lines += [Text(f"! {warning}", "yellow") for warning in found.warnings]
    return Padding(Group(*lines), (1, 2, 1, 2), expand=False)


def _dominated(found: Diagnosis, most: Dominant) -> Text:
    """Say what there is to say where one thing is all: no more than that."""
    text = Text.assemble(
        (f"{most.name[0].upper()}{most.name[1:]}", "bold"),
        f" ({most.kind}) is {share(most.share, 1)} of a trace's critical path, {duration(most.ns)} of ",
        f"{duration(found.duration.mean)}. Nothing found here makes that faster",
    )
    if found.saving.expected:
        text.append(f"; all else together would save {duration(found.saving.expected)}")
    return text.append(".")


def _rest(findings: Sequence[Finding]) -> RenderableType:
    lines = [Text("Seen beside it, and hardly to be noticed:", "dim")]
    saved = [f"{duration(each.saving.expected)} of a trace" for each in findings]
    lines += [
        Text(f"  {each.rule} {_place(each.where)}: {much}", "dim") for each, much in zip(findings, saved, strict=True)
    ]
    return Padding(Group(*lines), (0, 2, 1, 2), expand=False)


def _planned(steps: Sequence[Step]) -> RenderableType:
    table = Table.grid(expand=False, padding=(0, 2))
    for number, step in enumerate(steps, 1):
        table.add_row(
            Text(f"{number}", "bold"),
            Text(step.finding.rule, "bold cyan"),
            Text(_place(step.finding.where)),
            Text.assemble("adds ", (duration(step.adds.expected), "bold green")),
            Text(f"({interval(step.adds.low, step.adds.high)})"),
            Text(f"a trace then takes {duration(step.after.p50)}"),
        )
    title = Text("In which order: each remedy with what it adds to those before it", "bold")
    return Padding(Group(title, table), (0, 2, 1, 2), expand=False)


def _summary(found: Diagnosis) -> Text:
    text = Text.assemble(
        "A trace takes ", (duration(found.duration.p50), "bold"), f" (p95 {duration(found.duration.p95)})."
    )
    if found.saving.expected and not found.dominant:
        text.append(" With all remedies below it would take ")
        text.append(duration(found.predicted.p50), "bold green")
        text.append(f": {duration(found.saving.expected)} saved ({interval(found.saving.low, found.saving.high)}), ")
        text.append(f"{share(found.saving.expected, found.duration.mean)} of it.")
    if found.possible != found.predicted:
        text.append(f" What is not certain below could bring it to {duration(found.possible.p50)}.")
    return text


def _bill(saving: Saving, fleet: Fleet) -> Text:
    hours, cost = fleet.hours_per_day(saving.expected), fleet.cost_per_day(saving.expected)
    return Text.assemble(
        f"At {fleet.agents:,} agents with {fleet.runs_per_day:,} runs a day each that is ",
        (f"{three_digits(hours)} hours a day", "bold"),
        f", or {three_digits(cost)} at {fleet.cost_per_hour:g} an hour.",
    )


def _finding(number: int, finding: Finding, found: Diagnosis) -> RenderableType:
    head = Table.grid(expand=False, padding=(0, 2))
    hours = found.fleet.hours_per_day(finding.saving.expected)
    price = "once a process" if finding.once else f"{three_digits(hours)} h/day"
    head.add_row(
        Text(f"{number}", "bold"),
        Text(finding.rule, "bold cyan"),
        _saves(finding, len(found.traces)),
        Text(price, "dim"),
    )
    body: list[RenderableType] = [
        Text.assemble(
            (_place(finding.where), "underline"), f" in {finding.where.function}", (f"  {finding.id}", "dim")
        ),
        Text(f"{finding.what}; {duration(finding.median_ns)} {'in it' if finding.once else 'a trace'}"),
    ]
    more = [place for place in finding.places if place != finding.where]
    if more:
        body.append(Text(f"also {_places(finding.where, more)}", "dim"))
    if finding.dependence is not None:
        body += _verdict(finding.dependence)
    body += [Text.assemble(("mind: ", "yellow"), each) for each in finding.cautions]
    body.append(Text.assemble("remedy: ", (finding.remedy, "bold")))
    if finding.snippet:
        code = Syntax(finding.snippet, "python", theme="ansi_dark", background_color="default", word_wrap=True)
        body.append(Padding(code, (0, 2)))
    return Padding(Group(head, Padding(Group(*body), (0, 0, 0, 3))), (0, 2, 1, 2), expand=False)


def _saves(finding: Finding, traces: int) -> Text:
    saving = finding.saving
    if finding.once:
        return Text.assemble("saves ", (duration(saving.expected * traces), "bold green"))
    when = ", once the others are remedied" if finding.after_others else ""
    between = f" ({interval(saving.low, saving.high)}){when}"
    return Text.assemble("saves ", (duration(saving.expected), "bold green"), between)


def _verdict(verdict: Verdict) -> Iterator[Text]:
    colour, word = _VERDICTS[verdict.verdict]
    for number, evidence in enumerate(verdict.evidence[:3]):
        yield Text.assemble((f"{word}: " if not number else " " * (len(word) + 2), colour), evidence)


def _place(place: Place) -> str:
    return f"{short_path(place.file)}:{place.line}"


def _places(where: Place, more: Sequence[Place]) -> str:
    lines = [f"line {each.line}" if each.file == where.file else _place(each) for each in more]
    lines = list(dict.fromkeys(lines))
    return ", ".join(lines[:MAX_PLACES]) + (f" and {len(lines) - MAX_PLACES} more" if len(lines) > MAX_PLACES else "")


def _ignored(found: Diagnosis, show: bool) -> Iterator[Text]:
    """Say what is left out, and why if that is asked for."""
    number = len(found.chosen.ignored)
    if number:
        yield Text(f"{number} ignored{':' if show else ': --show-ignored'}", "bold" if show else "dim")
    for each in found.chosen.ignored if show else ():
        finding = each.finding
        yield Text(f"  {finding.rule} {_place(finding.where)}: {finding.what}")
        yield Text(
            f"    {finding.id}, saves {duration(finding.saving.expected)}: {each.entry.reason} ({each.entry.stands})"
        )
    if found.chosen.below:
        yield Text(f"{found.chosen.below} below --min-saving", "dim")


def _foot(found: Diagnosis, show_ignored: bool) -> RenderableType:
    lines: list[RenderableType] = []
    left = [finding for finding in found.findings if not finding.edits]
    for number, finding in enumerate(left):
        lines.append(Text("Looked at, and best left as it is:" if not number else "", "bold"))
        lines.append(Text(f"  {finding.rule} {_place(finding.where)}: {finding.what}"))
        if finding.dependence is not None:
            lines += [Padding(each, (0, 0, 0, 2)) for each in _verdict(finding.dependence)]
    if left:
        lines.append(Text())
    lines += _ignored(found, show_ignored)
    if found.passed:
        lines.append(Text(f"Nothing found by: {', '.join(found.passed)}", "dim"))
    lines.append(Text(f"Where a trace's time goes: {_accounts(found)}", "dim"))
    lines.append(Text(_basis(found), "dim"))
    return Padding(Group(*lines), (0, 2, 1, 2), expand=False)


def _accounts(found: Diagnosis) -> str:
    whole = sum(found.accounts.values())
    ranked = [(name, ns) for name, ns in found.accounts.items() if ns]
    named = [f"{name} {100 * ns / whole:.1f} %" for name, ns in ranked[:MAX_ACCOUNTS]]
    rest = sum(ns for _, ns in ranked[MAX_ACCOUNTS:])
    return ", ".join(named + ([f"other {100 * rest / whole:.1f} %"] if rest else []))


def _basis(found: Diagnosis) -> str:
    done = found.recording.done
    parts = (
        f"Recording: {short_path(found.recording.path)}.",
        f"Replayed unchanged, it is off by {100 * found.fidelity:.1f} %",
        f"(worst trace {100 * found.fidelity_worst:.1f} %).",
        f"Unexplained: {100 * found.unexplained_share:.1f} % of the time.",
        f"{len(found.recording.spans):,} spans, {done.get('dropped', 0):,} dropped;",
        f"probes: {libraries(done.get('probes', ()))}.",
    )
    return " ".join(parts)
