"""Whether the source waits for what it began, and where: the recorder sees no wait for what has ended already.

`t = create_task(…); a; b; await t` leaves no edge where `t` is done by then; a fix of `a` and `b` waits for it.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from microdelay.diagnose.dataflow.source import (
    COMPREHENSIONS,
    FUNCTIONS,
    LOOPS,
    Module,
    module,
    names_bound,
    names_read,
)
from microdelay.spans import Place

MET: Final = "met"  # surely waited for, from `line` on
PERHAPS: Final = "perhaps"  # kept, but not seen to be waited for
LEFT: Final = "left"  # nobody can wait for it

BEGINNERS = frozenset(
    {"create_task", "ensure_future", "gather", "map", "run_in_executor", "start", "start_soon", "submit", "to_thread"}
)
"""Names of what begins an activity that its caller may wait for; what a library begins unasked is its own business."""

WAITERS = frozenset({"exception", "join", "result"})
"""Methods of a task, future or thread that wait for it."""

ALL_WAITERS = frozenset({"as_completed", "gather", "wait"})
"""Functions that wait for those that they are given."""

PARTLY = frozenset({"return_when", "timeout"})
"""Arguments with which they may be content with less than all."""

KEEPERS = frozenset({"add", "append", "appendleft", "extend", "insert", "put"})
"""Methods that put something into a container."""

BRANCHES = (ast.If, ast.IfExp, ast.ExceptHandler, ast.Match)


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of what is begun at a place: `kind`, and the `line` that the wait for it begins at.

    `again` is the first line of the loop that goes round with both, 0 where there is none.
    """

    kind: str
    line: int = 0
    again: int = 0


@functools.lru_cache(4096)
def _found(known: Module, place: Place) -> Fate | None:
    begun = known.expression(place)
    call = begun.value if isinstance(begun, ast.Await) else begun
    if not isinstance(call, ast.Call) or _name(call) not in BEGINNERS:
        return None
    return _Search(known, call).fate()


def fate(place: Place | None) -> Fate | None:
    """Give what becomes of what is begun at a place; None where the source does not tell that anything is."""
    known = module(place.file) if place is not None else None
    return _found(known, place) if known is not None and place is not None else None


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _receiver(call: ast.Call) -> str:
    of = call.func.value if isinstance(call.func, ast.Attribute) else None
    return of.id if isinstance(of, ast.Name) else ""


class _Search:
    """Follows one beginning through the function that it stands in."""

    def __init__(self, known: Module, call: ast.Call) -> None:
        self._module = known
        self._call = call
        self._around = list(known.ancestors(call))
        self._nodes = list(_own(known.scope(call)))
        self._names = self._kept()

    def fate(self) -> Fate:
        """Give the first wait for it; a wait that a condition decides may not come."""
        statement = self._module.statement(self._call)
        waits = [(getattr(node, "lineno", 0), node) for node in self._nodes if self._waits(node)]
        waits += [(line, node) for node, line in self._left()]
        after = sorted(((line, node) for line, node in waits if line >= statement.lineno), key=lambda each: each[0])
        for line, node in after:
            if self._is_sure(node):
                return Fate(MET, line, self._again(node))
        if after or (self._names and not self._is_let_go()):
            return Fate(PERHAPS)
        return Fate(LEFT) if isinstance(statement, ast.Expr) or self._names else Fate(PERHAPS)

    def _kept(self) -> set[str]:
        """Give the variables that hold it or a container of it, in whichever way they are linked."""
        names: set[str] = set()
        if _name(self._call) == "start":
            names |= {_receiver(self._call)} - {""}
        for node in self._around:
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names |= set().union(*(names_bound(each) for each in targets if not isinstance(each, ast.Attribute)))
            elif isinstance(node, ast.Call) and _name(node) in KEEPERS:
                names |= {_receiver(node)} - {""}
            elif isinstance(node, ast.stmt):
                break
        links = [link for node in self._nodes if (link := _link(node))]
        grown = bool(names)
        while grown:
            before = len(names)
            for link in links:
                if link & names:
                    names |= link
            grown = len(names) > before
        return names

    def _waits(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Await):
            return self._call in ast.walk(node) or self._reads(node)
        if isinstance(node, ast.Call) and node is not self._call:
            if _name(node) in WAITERS and isinstance(node.func, ast.Attribute):
                return self._reads(node.func.value)
            return _name(node) in ALL_WAITERS and any(self._reads(each) for each in node.args)
        if isinstance(node, (ast.AsyncFor, ast.For)):
            return _name(self._call) == "map" and (self._call in ast.walk(node.iter) or self._reads(node.iter))
        return False

    def _reads(self, node: ast.AST) -> bool:
        return bool(self._names & names_read(node))

    def _left(self) -> Iterator[tuple[ast.AST, int]]:
        """Give the blocks that wait at their end for what was begun in them: task groups, pools."""
        for node in self._around:
            if isinstance(node, (ast.AsyncWith, ast.With)):
                bound = {name for item in node.items if item.optional_vars for name in names_bound(item.optional_vars)}
                if _receiver(self._call) in bound:
                    yield node, (node.end_lineno or node.lineno) + 1
        # A map that is made a list where it stands.
        if _name(self._call) == "map" and isinstance(self._around[0], (ast.Call, ast.Starred, *COMPREHENSIONS)):
            yield self._around[0], self._call.lineno

    def _is_sure(self, node: ast.AST) -> bool:
        own = {id(each) for each in (self._call, *self._around)}
        inside = [node, *self._module.ancestors(node)]
        if any(isinstance(each, BRANCHES) and id(each) not in own for each in inside):
            return False
        calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)] if isinstance(node, ast.expr) else []
        return not any(word.arg in PARTLY for call in calls if _name(call) in ALL_WAITERS for word in call.keywords)

    def _is_let_go(self) -> bool:
        """Tell whether its end takes it out of where it is kept: the idiom for what nobody waits for."""
        return any(
            isinstance(node, ast.Call) and _name(node) == "add_done_callback" and _receiver(node) in self._names
            for node in self._nodes
        )

    def _again(self, node: ast.AST) -> int:
        both = {id(each) for each in self._around if isinstance(each, LOOPS)}
        loops = (each for each in self._module.ancestors(node) if id(each) in both)
        return next((each.lineno for each in loops if isinstance(each, LOOPS)), 0)


def _link(node: ast.AST) -> set[str]:
    """Give the variables that a node puts into one another."""
    if isinstance(node, ast.Assign):
        held = _held(node.value)
        return held and held.union(*(names_bound(each) for each in node.targets))
    if isinstance(node, (ast.AsyncFor, ast.For, ast.comprehension)):
        return names_bound(node.target) | names_read(node.iter)
    if isinstance(node, ast.Call) and _name(node) in KEEPERS and _receiver(node):
        held = set().union(*(_held(each) for each in node.args))
        return held and held | {_receiver(node)}
    return set()


def _held(value: ast.AST) -> set[str]:
    """Give the variables that are a value or are in it as they are."""
    if isinstance(value, ast.Name):
        return {value.id}
    if isinstance(value, (ast.Dict, ast.List, ast.Set, ast.Starred, ast.Subscript, ast.Tuple)):
        return set().union(*(_held(each) for each in ast.iter_child_nodes(value)))
    if isinstance(value, (ast.ListComp, ast.SetComp)):
        return _held(value.elt)
    return set()


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes of a function, without those of the functions in it."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, FUNCTIONS):
            pending += ast.iter_child_nodes(node)
