"""Does one call need another's answer? Read from the source of the function that makes both.

The function is executed on marks instead of values (`walk.py`): the first call's answer is marked, and so is all that
is made of it, is put into it, or is decided by it; when the second call is reached, what it reads and what led to it
is looked at. Conservative where it cannot be sure: what may have been changed through a method or an argument makes
the answer unknown rather than independent.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from microdelay.diagnose.dataflow import apart
from microdelay.diagnose.dataflow.callees import Reads, is_dropped, local_names
from microdelay.diagnose.dataflow.keeping import Scope
from microdelay.diagnose.dataflow.source import COMPREHENSIONS, LOOPS, Body, Module, parameters, without_await
from microdelay.diagnose.dataflow.taint import CARRIES, MAYBE, Mark, State, strongest
from microdelay.diagnose.dataflow.values import Left, Question
from microdelay.diagnose.dataflow.walk import Walk

INDEPENDENT, DEPENDENT, UNKNOWN = "independent", "dependent", "unknown"

LONGEST = 60
"""Characters of a call's text that a sentence can take."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`verdict` is independent, dependent or unknown; `evidence` are sentences that a person can check."""

    verdict: str
    evidence: tuple[str, ...]


def between(
    module: Module,
    first: ast.expr,
    second: ast.expr,
    *,
    later_turn: bool = False,
    left: Sequence[Left] = (),
    reads: Reads | None = None,
    kept: bool = False,
    also: Collection[ast.AST] = (),
    within: ast.stmt | None = None,
) -> Verdict:
    """Judge two calls of one function, the second of which ran after the first.

    `later_turn`: a loop around both came to its next turn in between. `left` is what the functions that the first
    call leads to leave behind of the answer, `reads` what those of the second read; `kept` says that those of the
    second leave something behind too. `also` are expressions that give the first answer (`fetchone()`). With `within`
    both ran while that statement ran once: what goes round a loop outside it did not come between them.
    """
    scope = module.scope(first)
    if module.scope(second) is not scope:
        return Verdict(UNKNOWN, (f"lines {first.lineno} and {second.lineno} stand in different functions",))
    walk = Walk(Question(module, first, second, later_turn, left, reads, frozenset(also)))
    try:
        if within is None:
            walk.function(scope)
        else:
            walk.block([within], State())
    except RecursionError:
        return Verdict(UNKNOWN, (f"the function around line {first.lineno} is nested too deeply to follow",))
    if not walk.answers:
        return Verdict(UNKNOWN, (f"the source does not show how line {second.lineno} comes after {first.lineno}",))
    mark = strongest(walk.answers)
    if mark.level == CARRIES:
        return Verdict(DEPENDENT, (_sentence(mark, first, second),))
    if mark.level == MAYBE:
        return Verdict(UNKNOWN, (_sentence(mark, first, second),))
    if walk.unsettled is not None:
        line = getattr(walk.unsettled, "lineno", first.lineno)
        return Verdict(UNKNOWN, (f"the loop in line {line} hands on more from turn to turn than could be followed",))
    ordered = apart.ordered_by(module, first, second)
    if ordered:
        return Verdict(UNKNOWN, (f"`{ordered}` makes one transaction of both calls, and may keep their order",))
    named = Scope(module, scope).by_name()
    if named is not None:
        why = f"`{ast.unparse(named.func)}` in line {named.lineno} reaches variables that the source does not name"
        return Verdict(UNKNOWN, (why,))
    for call, keeps in ((first, bool(left)), (second, kept)):
        if is_dropped(module, call) and not keeps:
            why = f"the answer of the call in line {call.lineno} is not used: it may be made for its effect"
            return Verdict(UNKNOWN, (why,))
    return Verdict(INDEPENDENT, (_nothing(module, first, second, later_turn),))


def in_loop(
    module: Module,
    call: ast.expr,
    *,
    left: Sequence[Left] = (),
    reads: Reads | None = None,
    kept: bool = False,
    also: Collection[ast.AST] = (),
    in_one_run: bool = False,
) -> Verdict:
    """Judge a call that one loop makes again and again: does the next one need the one before?

    With `in_one_run`, in one run of the innermost loop: a loop around it did not come to its next turn in between.
    """
    loop = _loop_around(module, call)
    if loop is None:
        return Verdict(UNKNOWN, ("the loop that repeats this call is not in the same function",))
    within = module.statement(loop) if in_one_run else None
    return between(module, call, call, later_turn=True, left=left, reads=reads, kept=kept, also=also, within=within)


def bounded_by(module: Module, call: ast.expr, others: Sequence[ast.expr]) -> bool:
    """Tell whether one of the other calls is made in each turn of the loop around the innermost loop of a call.

    Where it is, calls with none of the others between them were made in one run of the innermost loop.
    """
    loop = _loop_around(module, call)
    outer = _loop_around(module, loop) if loop is not None else None
    if loop is None or not isinstance(outer, LOOPS):
        return False
    within = module.statement(loop)
    statements = [module.statement(other) for other in others]
    return any(statement in outer.body and statement is not within for statement in statements)


def left_behind(module: Module, function: Body, call: ast.expr, left: Sequence[Left] = ()) -> list[Left]:
    """Give what a function that makes `call` leaves behind of its answer, besides what it returns."""
    walk = Walk(Question(module, call, None, left=left))
    try:
        state = walk.function(function)
    except RecursionError:
        return []
    names, own = set(parameters(function)), local_names(function)
    found: list[Left] = []
    for path, mark in state.held.items():
        if path[0] in names:
            if len(path) > 1:
                found.append(Left(path[0], path[1:], mark, True, function))
        elif path[0] not in own:
            # What is kept under a key that the source does not say is a memory: another key has nothing of it.
            level = MAYBE if path[-1] == "[?]" and not _is_list(module, function, path[0]) else mark.level
            found.append(Left(path[0], path[1:], Mark(level, mark.name, mark.line), False, function))
    return found


def _is_list(module: Module, function: Body, name: str) -> bool:
    """Tell whether a function adds to `name` with a method, rather than setting one of its keys."""
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
        and node.attr in ("append", "extend", "insert", "add", "appendleft", "update", "put")
        for node in ast.walk(function)
    )


def _sentence(mark: Mark, first: ast.expr, second: ast.expr) -> str:
    place = str(second.lineno)
    if second is not first and second.lineno == first.lineno:
        place += f", column {second.col_offset + 1}"
    if mark.why:
        return mark.why.replace("{call}", place)
    if not mark.name:
        return f"the call in line {place} takes the answer of the one in line {mark.line or first.lineno}"
    if mark.level == CARRIES:
        return f"the call in line {place} reads `{mark.name}`, which line {mark.line} made of the answer"
    return f"the call in line {place} reads `{mark.name}`, which the answer may have changed in line {mark.line}"


def _nothing(module: Module, first: ast.expr, second: ast.expr, later_turn: bool) -> str:
    loop = _loop_around(module, first) if later_turn else None
    if isinstance(loop, COMPREHENSIONS):
        return f"each element in line {loop.lineno} is made from its own item"
    if loop is not None:
        return f"no turn of the loop in line {loop.lineno} reads what an earlier one answered"
    if module.statement(first) is module.statement(second):
        return f"line {second.lineno} makes both calls before it uses either answer"
    if first.lineno == second.lineno and first is not second:
        one, two = (ast.unparse(without_await(each)) for each in (first, second))
        if one == two or max(len(one), len(two)) > LONGEST:
            one, two = (f"the call in column {each.col_offset + 1}" for each in (first, second))
        else:
            one, two = f"`{one}`", f"`{two}`"
        return f"nothing that {two} in line {second.lineno} reads comes from {one}"
    return f"nothing that the call in line {second.lineno} reads comes from line {first.lineno}"


def _loop_around(module: Module, call: ast.expr | ast.stmt) -> ast.For | ast.AsyncFor | ast.While | ast.expr | None:
    """Give the innermost loop in the same function that repeats a call; what a loop goes over is asked for once."""
    inner: ast.AST = call
    scope = module.scope(call)
    for node in module.ancestors(call):
        if node is scope:
            return None
        if isinstance(node, COMPREHENSIONS) and inner is not node.generators[0]:
            return node
        if isinstance(node, COMPREHENSIONS) and _under(module, call, node.generators[0].iter, node):
            inner = node
            continue
        if isinstance(node, COMPREHENSIONS):
            return node
        if isinstance(node, LOOPS) and not (isinstance(node, (ast.For, ast.AsyncFor)) and inner is node.iter):
            return node
        inner = node
    return None


def _under(module: Module, node: ast.AST, top: ast.AST, around: ast.AST) -> bool:
    while node is not around:
        if node is top:
            return True
        node = module.parents[node]
    return False
