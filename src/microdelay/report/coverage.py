"""The accounts of a recording: where all of its traces' time went, and what was seen, dropped and sampled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from microdelay.diagnose.accounts import UNEXPLAINED, Accounts
from microdelay.report.text import write
from microdelay.report.units import duration, libraries, short_path
from microdelay.traces.model import Recording, Trace
from microdelay.traces.outlined import budget_note, outlined

SCHEMA = "microdelay.coverage/1"

MAX_PLACES = 8
"""Lines of the user's that are listed with the processor time used there."""

GOOD_SHARE = 0.02
"""Of the time that may stay unexplained before it is said in red."""


@dataclass(frozen=True)
class Coverage:
    """What is to be shown."""

    recording: Recording
    traces: Sequence[Trace]
    accounts: Accounts

    @property
    def count(self) -> int:
        """The number of traces, those without details included, which have no accounts."""
        return len(self.traces) + len(outlined(self.recording, self.traces))

    @property
    def total_ns(self) -> int:
        """The length of all traces together."""
        return sum(self.accounts.total.values())

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the recorder says of itself."""
        done, meta = self.recording.done, self.recording.meta
        length = max(0, done.get("end_ns", 0) - meta.get("start_ns", 0))
        events = sum(map(len, (self.recording.spans, self.recording.invocations, self.recording.activities)))
        events += sum(len(lane) for kind in (self.recording.steps, self.recording.samples) for lane in kind.values())
        return {
            "complete": bool(done),
            "probes": list(done.get("probes", ())),
            "spans": len(self.recording.spans),
            "dropped": done.get("dropped", 0),
            "troubles": dict(done.get("troubles", {})),
            "events_per_second": round(events / (length / 1e9)) if length else 0,
            "length_ns": length,
            "sampler": dict(done.get("sampler", {})),
            "budget": dict(done.get("budget", {})),
            "warnings": [*self.recording.warnings, *filter(None, [budget_note(self.recording, self.traces)])],
        }


def data(found: Coverage) -> dict[str, Any]:
    """Give it as plain data, times in nanoseconds."""
    return {
        "schema": SCHEMA,
        "recording": found.recording.path,
        "traces": found.count,
        "detailed_traces": len(found.traces),
        "total_ns": found.total_ns,
        "accounts_ns": dict(found.accounts.total),
        "unexplained_share": found.accounts.unexplained_share,
        "cpu": [
            {
                "file": place.file if place is not None else "",
                "line": place.line if place is not None else 0,
                "function": place.function if place is not None else "",
                "package": package,
                "ns": used,
            }
            for (place, package), used in found.accounts.cpu.items()
        ],
        **found.facts,
    }


def render(found: Coverage, file: IO[str]) -> None:
    """Write it for a person."""
    parts: list[RenderableType] = [_head(found), _accounts(found)]
    if found.accounts.cpu:
        parts += [Text("\nProcessor time between the waits, as sampled", "bold"), _places(found)]
    parts += [Text("\nThe recording", "bold"), _facts(found)]
    write(file, *(Padding(part, (0, 2)) for part in parts))


def _head(found: Coverage) -> RenderableType:
    count = len(found.traces)
    mean = found.total_ns // count if count else 0
    text = Text.assemble(
        ("microdelay", "bold"),
        f"  {short_path(found.recording.path)}  ·  ",
        f"{found.count:,} trace{'s' * (found.count != 1)}, ",
    )
    text.append(f"{duration(mean)} each on average\n")
    return Group(Text(), text, *(Text(f"! {warning}", "yellow") for warning in found.facts["warnings"]))


def _accounts(found: Coverage) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("account")
    for title in ("a trace", "share"):
        table.add_column(title, justify="right")
    whole, count = found.total_ns or 1, len(found.traces) or 1
    total = dict(found.accounts.total)
    unexplained = total.pop(UNEXPLAINED, 0)
    for name, ns in total.items():
        table.add_row(escape(name), duration(ns / count), _percent(ns, whole))
    style = "red" if unexplained > GOOD_SHARE * whole else "green"
    table.add_row(UNEXPLAINED, duration(unexplained / count), _percent(unexplained, whole), style=style)
    table.add_row("all", duration(found.total_ns / count), _percent(found.total_ns, whole), style="bold")
    return table


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


def _places(found: Coverage) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("line", "function", "in"):
        table.add_column(title)
    table.add_column("a trace", justify="right")
    for (place, package), used in list(found.accounts.cpu.items())[:MAX_PLACES]:
        where = f"{short_path(place.file)}:{place.line}" if place is not None else "no code of yours"
        function = place.function if place is not None else ""
        table.add_row(
            escape(where), escape(function), escape(package or "your code"), duration(used / len(found.traces))
        )
    return table


def _facts(found: Coverage) -> Table:
    facts = found.facts
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    table.add_row("probes active", escape(libraries(facts["probes"])))
    table.add_row("spans", f"{facts['spans']:,}")
    table.add_row("events", f"{facts['events_per_second']:,} a second")
    table.add_row("dropped", f"{facts['dropped']:,} events" if facts["complete"] else "unknown: the program was killed")
    table.add_row("sampled", _sampled(facts["sampler"]))
    if facts["budget"]:
        table.add_row("overhead", _spent(facts["budget"]))
    return table


def _spent(budget: Mapping[str, Any]) -> str:
    share = 100 * budget["cost_ns"] / (budget["wall_ns"] or 1)
    return f"recording took some {share:.1f} % of a core, of {100 * budget['share']:g} % that it may take"


def _sampled(sampler: Mapping[str, Any]) -> str:
    if not sampler.get("looks"):
        return "nothing"
    share = 100 * sampler["cpu_ns"] / (sampler["wall_ns"] or 1)
    text = f"{sampler['looks']:,} looks, one every {duration(sampler['interval_ns'])}; "
    text += f"sampling took {share:.1f} % of a core"
    late = 100 * sampler["late_ns"] / (sampler["wall_ns"] or 1)
    return text + (f" and waited for the GIL {late:.0f} % of the time" if late >= 1 else "")
