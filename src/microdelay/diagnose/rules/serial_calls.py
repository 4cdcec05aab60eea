"""Calls to other services made one after the other although none needs another's answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median

from microdelay.diagnose import snippet
from microdelay.diagnose.batch_endpoint import endpoint
from microdelay.diagnose.case import Case
from microdelay.diagnose.dataflow.flow import DEPENDENT, INDEPENDENT, UNKNOWN, Verdict
from microdelay.diagnose.dependence import judge_loop, judge_pair
from microdelay.diagnose.edits import Together
from microdelay.diagnose.repeats import repeated
from microdelay.diagnose.rule import Finding
from microdelay.diagnose.units import Unit, units_of
from microdelay.spans import DB, HTTP, Place
from microdelay.traces.model import Trace

NAME = "serial-calls"
SUMMARY = "calls to other services made one after the other although none needs another's answer"
REMEDY = "fan_out"

MIN_CALL_NS = 1_000_000
"""A call shorter than this gains less than starting a thread or a task costs in noise."""

MAX_PAIRS = 1_000
"""Of two places that are judged: what they show they show by then."""

BATCH = (
    "each asks the same path for another item: a batch endpoint, where the service has one, would be one call for all"
)

MIN_ITEMS = 3
"""Of one path with different input in one loop, from which on it is a list; two may be a coincidence (`n-plus-one`)."""

WINDOW = 8
"""Calls behind one another that are compared: a longer run of independent calls is cut, which loses little."""


@dataclass(frozen=True, slots=True)
class _Member:
    """One call, or all turns of a loop around it, in one invocation; `turn` counts when the source went back."""

    site: Place
    units: tuple[Unit, ...]
    turn: int = 0

    @property
    def start_ns(self) -> int:
        return self.units[0].start_ns

    @property
    def end_ns(self) -> int:
        return self.units[-1].end_ns

    @property
    def whole(self) -> Unit:
        """All turns as one call."""
        return Unit.over(self.units)


_Sites = tuple[Place, ...]
_Key = tuple[Place, Place, bool]
_Cut = tuple[_Sites, list[int]]
_Kind = tuple[tuple[int, int], ...]
_Cutting = Callable[[Sequence["_Member"], "_Verdicts"], Iterable[list["_Member"]]]
_Instances = dict[_Sites, list[tuple[Trace, list[_Member]]]]


def find(case: Case) -> Iterable[Finding]:
    """Give groups of calls that could run together, and chains of calls that were looked at and may not."""
    sequences = list(_sequences(case))
    verdicts = _Verdicts(case, sequences)
    yield from _loops(case, sequences)
    yield from _turns(case, sequences, verdicts)
    groups: _Instances = defaultdict(list)
    chains: _Instances = defaultdict(list)
    cut: dict[_Kind, tuple[list[_Cut], list[_Cut]]] = {}
    for (trace, members), kind in zip(sequences, verdicts.kinds, strict=True):
        if kind not in cut:
            cut[kind] = _cuts(members, _partition, verdicts), _cuts(members, _chains, verdicts)
        for known, into in zip(cut[kind], (groups, chains), strict=True):
            for sites, positions in known:
                into[sites].append((trace, [members[each] for each in positions]))
    for sites, seen in _folded(groups, _is_within).items():
        group = max((members for _, members in seen), key=len)
        verdict = _weakest([verdicts(a, b) for i, a in enumerate(group) for b in group[i + 1 :]])
        yield _finding(case, sites, seen, verdict, snippet.fan_out(sites))
    for sites, seen in _folded(chains, _share_a_step).items():
        longest = max((members for _, members in seen), key=len)
        if _is_of_database(longest):
            continue  # statements have an order where they share a connection; a loop of them is `n-plus-one`
        evidence = tuple(e for a, b in pairwise(longest) for e in verdicts.in_order(a, b).evidence)
        yield _finding(case, sites, seen, Verdict(DEPENDENT, evidence), "")


def _kind(members: Sequence[_Member]) -> _Kind:
    """Give what is the same of sequences that are cut alike: places and turns."""
    return tuple([(id(member.site), member.turn) for member in members])


def _cuts(members: Sequence[_Member], cut: _Cutting, verdicts: _Verdicts) -> list[_Cut]:
    """Give the runs that the turns of a sequence are cut into, each as its places and where they stand in it."""
    found: list[_Cut] = []
    positions = {id(member): number for number, member in enumerate(members)}
    for _, turn in groupby(members, key=_turn):
        runs = cut(list(turn), verdicts)
        found += [(tuple(each.site for each in run), [positions[id(each)] for each in run]) for run in runs]
    return found


def _folded(instances: _Instances, same: Callable[[_Sites, _Sites], bool]) -> _Instances:
    """Put the sequences that lack a call, or have another one before, where most of their calls are seen."""
    folded: _Instances = {}
    for sites, seen in sorted(instances.items(), key=lambda item: (-len(item[0]) * len(item[1]), -len(item[0]))):
        into = next((known for known in folded if same(sites, known)), sites)
        folded.setdefault(into, []).extend(seen)
    return folded


def _is_within(sites: _Sites, known: _Sites) -> bool:
    return set(sites) <= set(known)


def _share_a_step(sites: _Sites, known: _Sites) -> bool:
    return bool(set(pairwise(sites)) & set(pairwise(known)))


def _sequences(case: Case) -> Iterator[tuple[Trace, list[_Member]]]:
    """Give, for each invocation, the calls it made in order; what memory should answer is another rule's."""
    units = units_of(case)
    wanted = (units.end_ns - units.start_ns >= MIN_CALL_NS) & ~units.all(repeated(case).answered)
    for own in units.by_invocation(wanted):
        members: list[_Member] = []
        for unit in own:
            if members and unit.start_ns < members[-1].end_ns:
                continue
            last = members[-1] if members else None
            if last is None:
                members.append(_Member(unit.site, (unit,)))
            elif last.site is unit.site:
                members[-1] = _Member(unit.site, (*last.units, unit), last.turn)
            else:
                back = _position(unit.site) < _position(last.site)
                members.append(_Member(unit.site, (unit,), last.turn + back))
        yield case.traces[int(units.trace[own[0].numbers[0]])], members


def _turn(member: _Member) -> int:
    return member.turn


def _is_of_database(members: Sequence[_Member]) -> bool:
    return all(unit.is_of_database for member in members for unit in member.units)


def _position(site: Place) -> tuple[int, int]:
    """Give where a call ends: in that order calls are made, also those that stand inside one another."""
    return max(site.line, site.end_line), site.end_column


class _Verdicts:
    """Judges each two places once, by all the times they were seen one after the other; `kinds` are the sequences'."""

    def __init__(self, case: Case, sequences: Sequence[tuple[Trace, Sequence[_Member]]]) -> None:
        self._case = case
        self._known: dict[tuple[_Key, bool], Verdict] = {}
        self._pairs: dict[_Key, list[tuple[Trace, Unit, Unit]]] = defaultdict(list)
        self.kinds = [_kind(members) for _, members in sequences]
        seen: Counter[_Kind] = Counter()
        for (trace, members), kind in zip(sequences, self.kinds, strict=True):
            seen[kind] += 1
            if seen[kind] > MAX_PAIRS:
                continue  # those before it had all of its pairs
            for index, first in enumerate(members):
                for second in members[index + 1 : index + WINDOW]:
                    known = self._pairs[_key(first, second)]
                    if len(known) < MAX_PAIRS:
                        known.append((trace, first.whole, second.whole))

    def __call__(self, first: _Member, second: _Member) -> Verdict:
        """Say whether two may run at the same time."""
        return self._judged(first, second, True)

    def in_order(self, first: _Member, second: _Member) -> Verdict:
        """Say whether the second may come before the first, where they never run at the same time."""
        return self._judged(first, second, False)

    def _judged(self, first: _Member, second: _Member, at_once: bool) -> Verdict:
        key = _key(first, second)
        verdict = self._known.get((key, at_once))
        if verdict is None:
            pairs = self._pairs.get(key)
            verdict = Verdict(UNKNOWN, ("not seen in this order",))
            if pairs:
                verdict = judge_pair(self._case, pairs, key[2], at_once=at_once)
            self._known[key, at_once] = verdict
        return verdict

    def across(self, first: Place, second: Place) -> Verdict:
        """Judge two places with the next turn of a loop between them, in whatever distance they were seen."""
        return self(_Member(first, ()), _Member(second, (), 1))


def _key(first: _Member, second: _Member) -> _Key:
    """Give the two places, and whether a loop's next turn lies between them: the source goes back in between."""
    return first.site, second.site, first.turn != second.turn


def _partition(members: Sequence[_Member], verdicts: _Verdicts) -> Iterator[list[_Member]]:
    """Cut a sequence into runs in which every two calls may run together; then what is left, with a caveat."""
    left = members
    for allowed in ({INDEPENDENT}, {INDEPENDENT, UNKNOWN}):
        rest: list[_Member] = []
        for run in _runs(left, members, lambda a, b, allowed=allowed: verdicts(a, b).verdict in allowed, verdicts):  # type: ignore[misc]
            if len(run) > 1:
                yield run
            else:
                rest.extend(run)
        left = rest


def _runs(
    left: Sequence[_Member],
    members: Sequence[_Member],
    together: Callable[[_Member, _Member], bool],
    verdicts: _Verdicts,
) -> list[list[_Member]]:
    """Put each call into the last run that takes it; what `members` has between those of a run is none of it."""
    places = {id(member): number for number, member in enumerate(members)}
    runs: list[list[_Member]] = []
    for member in left:
        near = (run for run in reversed(runs) if places[id(member)] - places[id(run[0])] < WINDOW)
        for run in near:
            everyone = members[places[id(run[0])] : places[id(member)] + 1]
            if all(together(each, member) for each in run) and _meet([*run, member], everyone, verdicts):
                run.append(member)
                break
        else:
            runs.append([member])
    return runs


def _meet(run: Sequence[_Member], everyone: Sequence[_Member], verdicts: _Verdicts) -> bool:
    """Tell whether the calls of a run can come to stand side by side, among `everyone` from its first to its last: all
    can be made where the first one is, or all where the last one is."""
    own = {id(each) for each in run}
    number = {id(each): at for at, each in enumerate(everyone)}
    between = [each for each in everyone if id(each) not in own]

    def passes(first: _Member, second: _Member) -> bool:
        in_order = number[id(first)] < number[id(second)]
        return not in_order or verdicts.in_order(first, second).verdict == INDEPENDENT

    return all(passes(other, each) for other in between for each in run) or all(
        passes(each, other) for other in between for each in run
    )


def _chains(members: Sequence[_Member], verdicts: _Verdicts) -> Iterator[list[_Member]]:
    chain: list[_Member] = []
    for member in members:
        if chain and verdicts.in_order(chain[-1], member).verdict == DEPENDENT:
            chain.append(member)
            continue
        if len(chain) > 1:
            yield chain
        chain = [member]
    if len(chain) > 1:
        yield chain


def _loops(case: Case, sequences: Sequence[tuple[Trace, Sequence[_Member]]]) -> Iterator[Finding]:
    seen: dict[Place, list[tuple[Trace, _Member]]] = defaultdict(list)
    others: dict[Place, set[Place]] = defaultdict(set)
    for trace, members in sequences:
        for member in members:
            if len(member.units) > 1 and not _is_of_database([member]):
                seen[member.site].append((trace, member))
                others[member.site] |= {each.site for each in members} - {member.site}
    for site, found in seen.items():
        pairs = [(trace, first, second) for trace, member in found for first, second in pairwise(member.units)]
        verdict = judge_loop(case, pairs, sorted(others[site], key=_position))
        text = snippet.fan_out_loop(site) if verdict.verdict != DEPENDENT else ""
        singles = [(trace, [_Member(site, (unit,)) for unit in member.units]) for trace, member in found]
        made = _finding(case, (site,), singles, verdict, text)
        yield _or_as_one(case, made) if made.remedy and _is_of_one_path(singles) else made


def _or_as_one(case: Case, made: Finding) -> Finding:
    """Say that a batch endpoint would be one call for all, and which, where the program knows one."""
    known = endpoint(case, made.spans[0])
    if not known:
        return replace(made, cautions=(BATCH,))
    why = f"the program asks {known} elsewhere: with all items in it that is one call, and gains as much"
    return replace(made, remedy=f"{REMEDY}, or one request for all: {known}", cautions=(why,))


def _is_of_one_path(seen: Sequence[tuple[Trace, Sequence[_Member]]]) -> bool:
    """Tell whether a loop only gets one path, each time for something else: an N+1 of requests."""
    spans = [span for _, members in seen[:MAX_PAIRS] for each in members for span in each.units[0].spans]
    paths = {(s.attributes.get("server.address"), s.attributes.get("url.template")) for s in spans}
    asked = {span.input for each in seen[0][1] for span in each.units[0].spans}
    gets = all(span.attributes.get("http.request.method") == "GET" for span in spans)
    return gets and len(paths) == 1 and len(asked - {0}) >= MIN_ITEMS


def _turns(case: Case, sequences: Sequence[tuple[Trace, Sequence[_Member]]], verdicts: _Verdicts) -> Iterator[Finding]:
    """Give loops that make several calls in each turn, where no turn needs an earlier one."""
    seen: _Instances = defaultdict(list)
    for trace, members in sequences:
        if not members[-1].turn:
            continue
        turns = [list(each) for _, each in groupby(members, key=_turn)]
        made = Counter(site for turn in turns for site in {member.site for member in turn})
        repeats = {site for site, count in made.items() if count > 1}  # the others stand before or after the loop
        turns = [kept for turn in turns if (kept := [member for member in turn if member.site in repeats])]
        if len(turns) > 1 and len(repeats) > 1:
            sites = tuple(sorted(repeats, key=_position))
            whole = [_Member(turn[0].site, tuple(u for m in turn for u in m.units), turn[0].turn) for turn in turns]
            seen[sites].append((trace, whole))
    for sites, found in _folded(seen, _is_within).items():
        across = [verdicts.across(one, two) for one in sites for two in sites]
        if not any(verdict.verdict == DEPENDENT for verdict in across):
            yield _finding(case, sites, found, _weakest(across), snippet.fan_out_turns(sites[0]), calls_are="turns")


def _weakest(verdicts: Sequence[Verdict]) -> Verdict:
    weakest = UNKNOWN if any(verdict.verdict == UNKNOWN for verdict in verdicts) else INDEPENDENT
    evidence = dict.fromkeys(e for verdict in verdicts if verdict.verdict == weakest for e in verdict.evidence)
    return Verdict(weakest, tuple(evidence))


def _finding(
    case: Case,
    sites: _Sites,
    seen: Sequence[tuple[Trace, Sequence[_Member]]],
    verdict: Verdict,
    text: str,
    *,
    calls_are: str = "calls",
) -> Finding:
    spans = Unit.over([unit for _, members in seen for member in members for unit in member.units]).spans
    first = Unit.over([members[0].units[0] for _, members in seen])
    edits = [
        Together(activity, tuple([(m.start_ns, m.end_ns) for m in members]))
        for activity, (_, members) in zip(first.activities, seen, strict=True)
    ]
    lengths = [sum(member.end_ns - member.start_ns for member in members) for _, members in seen]
    calls = round(sum(len(members) for _, members in seen) / len(seen))
    if any(unit.is_gather for _, members in seen[:1] for member in members for unit in member.units):
        calls_are = "waits for calls"
    shapes = spans.shapes()
    names = list(dict.fromkeys(shape.name for shape in shapes))
    how = "in a loop, one after the other" if len(sites) == 1 or calls_are == "turns" else "one after the other"
    if verdict.verdict == DEPENDENT:
        how += ", each needing the answer before"
    return Finding(
        rule=NAME,
        where=sites[0],
        kind=DB if all(shape.kind == DB for shape in shapes) else HTTP,
        what=f"{calls} {calls_are} {how}: {', '.join(names[:5])}{', …' if len(names) > 5 else ''}",
        remedy=REMEDY if verdict.verdict != DEPENDENT else "",
        spans=spans,
        edits=edits if verdict.verdict != DEPENDENT else (),
        traces=len({trace.id for trace, _ in seen}),
        snippet=text,
        dependence=verdict,
        places=sites,
        operations=frozenset((shape.kind, shape.name) for shape in shapes),
        count=sum(len(members) for _, members in seen),
        total_ns=sum(lengths),
        median_ns=int(median(lengths)),
    )


FIRES = {
    "three hosts, and no call reads another's answer": """
        main  |[weather  ][finance  ][crm     ]
        weather: GET http://weather/today  at 2
        finance: GET http://finance/account  at 3
        crm: GET http://crm/user  at 4
---
def work(get):
    weather = get("http://weather/today")
    finance = get("http://finance/account")
    crm = get("http://crm/user")
    return weather, finance, crm
    """,
    "one call for each item of a list": """
        main  |[item  ][item  ][item  ][item  ]
        item: GET http://api/item  at 4 input=each output=each
---
def work(get, numbers):
    items = []
    for number in numbers:
        items.append(get(f"http://api/item?id={number}"))
    return items
    """,
    "a statement between them stays in its thread, and neither call reads its rows": """
        main  |[weather  ][rows   ][finance  ]
        weather: GET http://weather/today  at 2
        rows: sql SELECT id FROM orders  system=sqlite  at 3
        finance: GET http://finance/account  at 4
---
def work(get, database):
    weather = get("http://weather/today")
    rows = database.execute("SELECT id FROM orders")
    finance = get("http://finance/account")
    return weather, rows, finance
    """,
    "a loop that makes two calls a turn, where no turn needs the one before": """
        main  |[user  ][orders ][user  ][orders ][user  ][orders ]
        user: GET http://api/user  at 4 input=each output=each
        orders: GET http://api/orders  at 5 input=each output=each
---
def work(get, numbers):
    found = {}
    for number in numbers:
        user = get(f"http://api/user?id={number}")
        found[number] = get("http://api/orders?key=" + user["key"])
    return found
    """,
}

SILENT = {
    "each call is made of the answer before": """
        main  |[weather  ][finance  ][crm     ]
        weather: GET http://weather/today  at 2
        finance: GET http://finance/account  at 3
        crm: GET http://crm/user  at 4
---
def work(get):
    weather = get("http://weather/today")
    finance = get("http://finance/account?city=" + weather["city"])
    crm = get("http://crm/user?id=" + finance["user"])
    return crm
    """,
    "paging with a token": """
        main  |[page   ][page   ][page   ][page   ]
        page: GET http://api/items  at 4 input=each output=each
---
def work(get):
    token, items = "", []
    while token is not None:
        page = get("http://api/items?token=" + token)
        items += page["items"]
        token = page["next"]
    return items
    """,
    "a model that is asked until it is done": """
        main  |[llm      ][llm      ][llm      ]
        llm: POST http://model/v1/chat/completions  at 3 input=each output=each
---
def work(post, messages):
    while True:
        answer = post("http://model/v1/chat/completions", messages)
        messages.append(answer)
        if answer["finish"] == "stop":
            return messages
    """,
    "retries until one succeeds": """
        main  |[get   ][get   ][get   ]
        get: GET http://api/user  at 4 status=503
---
def work(get):
    for _ in range(5):
        try:
            return get("http://api/user")
        except OSError:
            continue
    """,
    "the second call is the first one's fallback": """
        main  |[one   ][two   ]
        one: GET http://one/user  at 3 status=503
        two: GET http://two/user  at 5
---
def work(get):
    try:
        return get("http://one/user")
    except OSError:
        return get("http://two/user")
    """,
    "calls that run together already": """
        one   |[weather  ]
        two   |[finance  ]
        weather: GET http://weather/today
        finance: GET http://finance/account
    """,
    "calls too short to gain anything": """
        1 character = 100 us
        main  |[one ][two ]
        one: GET http://cache/a
        two: GET http://cache/b
    """,
}
