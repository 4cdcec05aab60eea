"""What rules say with a doubt, and what they save at best: drawn."""

from __future__ import annotations

from pathlib import Path

import pytest

from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import UNKNOWN
from microdelay.diagnose.pricing import Pricing
from microdelay.diagnose.rule import Finding, rules
from microdelay.testing import draw
from microdelay.traces import assemble


def found(rule: str, drawing: str, folder: Path) -> tuple[Finding, Pricing]:
    """Give the one finding of a rule, and what prices it."""
    recording = draw(drawing, folder)
    traces = assemble(recording)
    (finding,) = rules()[rule].find(Case(recording, traces))
    return finding, Pricing(recording, traces)


SLOW = """
    1 character = 1 ms
    main  |[search                ]{}
    search: sql SELECT id FROM orders WHERE customer = ?  rows=1 input=each system=sqlite
    o: sql SELECT total FROM orders WHERE id = ?  input=each system=sqlite
"""


@pytest.mark.parametrize(("others", "verdict"), [("o", ""), ("", UNKNOWN)])
def test_a_slow_statement_with_nothing_to_compare_it_with_is_not_certain(
    others: str, verdict: str, tmp_path: Path
) -> None:
    finding, _ = found("slow-query", SLOW.format(others), tmp_path)
    assert (finding.dependence.verdict if finding.dependence else "") == verdict
    assert ("the quickest other statement" in finding.what) == bool(others)


REPEATED = """
    1 character = 1 ms
    trace |[one                 ][two                 ][three               ]
    main  |[set  ][items ][set  ][set  ][items ][set  ][set  ][items ][set  ]
    set: sql SELECT name FROM settings WHERE id = ?
    items: sql SELECT id FROM items WHERE user = ?  input=each
"""


def test_rows_that_stay_the_same_may_be_kept_from_trace_to_trace(tmp_path: Path) -> None:
    finding, pricing = found("repeated-call", REPEATED, tmp_path)
    saved = pricing.savings(finding.edits)
    assert saved["best"][1:].min() > 1.9 * saved["expected"].max()
    assert saved["best"][0] < 1.1 * saved["expected"].max()
    assert finding.count == 3
    assert finding.cautions


def test_rows_are_not_kept_where_the_program_writes_to_the_database(tmp_path: Path) -> None:
    written = REPEATED.replace("[items ]", "[items]w") + "    w: sql UPDATE users SET a = ? WHERE id = ?\n"
    written = written.replace("[set  ][items]w", "[set  ][set ]w")
    finding, _ = found("repeated-call", written, tmp_path)
    assert not finding.cautions


CONVOY = """
    1 character = 1 ms
    trace |[one                                             ]
    main  |[all                                             ]
    a     |~[get      ]
    b     |~c          [get      ]
    c     |~[wait                 ][get      ]
    d     |~[longer                          ][get      ]
    e     |~[longest                                    ]g
    all: join a b c d e
    wait: unknown with lock:  at 4
    longer: unknown with lock:  at 4
    longest: unknown with lock:  at 4
    c: cpu prepare  at 3
    get: GET http://api/item  at 5
    g: GET http://api/item  at 5
"""


def test_a_wait_for_a_lock_that_was_too_short_to_be_seen_goes_away_with_the_others(tmp_path: Path) -> None:
    finding, pricing = found("lock-convoy", CONVOY, tmp_path)
    assert finding.count == 3
    assert len(finding.edits) == 4
    left_ns = pricing.recorded - pricing.savings(finding.edits)["expected"]
    assert left_ns.max() <= 20e6
