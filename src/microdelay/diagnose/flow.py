"""Does one call need another's answer? Read from the order of variables between the two places in one function.

Forward taint over the function's syntax tree: the names that the first call's answer is bound to are tainted; a
statement that reads a tainted name taints what it binds; a condition on a tainted name taints what stands under it.
Conservative where it cannot be sure: what may have been changed through a method call or an argument is *touched*,
and makes the answer unknown rather than independent.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from microdelay.diagnose.source import COMPREHENSIONS, Module, names_bound, names_read, root_name

INDEPENDENT, DEPENDENT, UNKNOWN = "independent", "dependent", "unknown"

LOOPS = (ast.For, ast.AsyncFor, ast.While)
LEAVING = (ast.Return, ast.Break, ast.Continue)
BLOCKS = ("body", "orelse", "finalbody")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`verdict` is independent, dependent or unknown; `evidence` are sentences that a person can check."""

    verdict: str
    evidence: tuple[str, ...]


_ADDING = frozenset({"add", "append", "appendleft", "extend", "insert", "put", "put_nowait", "setdefault", "update"})
"""Methods by which the containers of the standard library take something in."""


@dataclass(slots=True)
class _Taint:
    """What carries the first call's answer, with the line where it got there."""

    carries: dict[str, int] = field(default_factory=dict)
    touched: dict[str, int] = field(default_factory=dict)

    def receive(self, name: str, method: str, line: int) -> None:
        """Note that a method of `name` was given the answer: a container then has it, others may have kept it."""
        (self.carries if method in _ADDING else self.touched).setdefault(name, line)

    def carried(self, node: ast.AST) -> str:
        return next((name for name in sorted(names_read(node)) if name in self.carries), "")

    def maybe(self, node: ast.AST) -> str:
        return next((name for name in sorted(names_read(node)) if name in self.touched), "")


def between(module: Module, first: ast.expr, second: ast.expr) -> Verdict:
    """Judge two different calls of one function, the second of which ran after the first."""
    if first in ast.walk(second):
        return Verdict(DEPENDENT, (f"the call in line {second.lineno} takes the answer of the one inside it",))
    start, end = module.statement(first), module.statement(second)
    taint = _Taint()
    if start is end:
        return _same_statement(module, first, second)
    unused = _seed(module, first, start, taint)
    caught = _in_handler_of(module, first, second)
    if caught:
        return caught
    statements = _between(module, start, end)
    for statement in statements:
        left = _transfer(statement, taint, conditional=statement not in _spine(module, end))
        if left:
            return left
    guard = _guards(module, start, end, taint)
    if guard:
        return guard
    found = _uses(second, taint)
    if found:
        return found
    if unused:
        return _dropped(first)
    return Verdict(
        INDEPENDENT, (f"nothing that the call in line {second.lineno} reads comes from line {first.lineno}",)
    )


def in_loop(module: Module, call: ast.expr) -> Verdict:
    """Judge a call that one loop makes again and again: does the next one need the one before?"""
    for node in module.ancestors(call):
        if isinstance(node, COMPREHENSIONS):
            if any(call in ast.walk(each.iter) for each in node.generators[:1]):
                continue
            return Verdict(INDEPENDENT, (f"each element in line {node.lineno} is made from its own item",))
        if isinstance(node, LOOPS):
            if isinstance(node, (ast.For, ast.AsyncFor)) and call in ast.walk(node.iter):
                continue
            return _loop(module, node, call)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            break
    return Verdict(UNKNOWN, ("the loop that repeats this call is not in the same function",))


def _loop(module: Module, loop: ast.For | ast.AsyncFor | ast.While, call: ast.expr) -> Verdict:
    statement = module.statement(call)
    taint = _Taint()
    unused = _seed(module, call, statement, taint)
    path = [node for node in module.ancestors(call) if isinstance(node, ast.stmt)]
    # Twice round: what the first turn leaves behind reaches the second.
    for _ in range(2):
        left = _transfer_block(loop.body, taint, skip={statement, *path}, call=call)
        if left:
            return left
        if isinstance(loop, (ast.For, ast.AsyncFor)) and not taint.carried(loop.iter):
            for name in names_bound(loop.target):  # the next turn has an item of its own
                taint.carries.pop(name, None)
                taint.touched.pop(name, None)
    if isinstance(loop, ast.While) and (call in ast.walk(loop.test) or taint.carried(loop.test)):
        return Verdict(DEPENDENT, (f"the loop in line {loop.lineno} goes on depending on the answer",))
    leaving = _leaves(loop.body, taint, call)
    if leaving:
        return leaving
    if isinstance(loop, (ast.For, ast.AsyncFor)):
        name = taint.carried(loop.iter) or taint.maybe(loop.iter)
        if name:
            return Verdict(DEPENDENT, (f"the loop in line {loop.lineno} goes over `{name}`, which the answers change",))
    if any(isinstance(node, (ast.Yield, ast.YieldFrom)) for each in loop.body for node in ast.walk(each)):
        return Verdict(UNKNOWN, (f"the loop in line {loop.lineno} hands out each answer before the next call",))
    found = _uses(call, taint)
    if found:
        return found
    if unused:
        return _dropped(call)
    return Verdict(INDEPENDENT, (f"no turn of the loop in line {loop.lineno} reads what an earlier one answered",))


def _seed(module: Module, call: ast.expr, statement: ast.stmt, taint: _Taint) -> bool:
    """Taint what the call's answer is bound to; tell whether the answer is dropped."""
    bound: set[str] = set()
    for node in module.ancestors(call):
        if isinstance(node, (ast.NamedExpr, ast.comprehension)):
            bound |= names_bound(node.target)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            bound |= names_bound(node.optional_vars)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and call is not node:
            if call not in ast.walk(node.func) and (name := root_name(node.func)):
                taint.receive(name, node.func.attr, node.lineno)  # results.append(get(url))
        elif isinstance(node, ast.stmt):
            break
    if isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        bound |= set().union(*(names_bound(target) for target in targets))
    elif isinstance(statement, (ast.For, ast.AsyncFor)) and call in ast.walk(statement.iter):
        bound |= names_bound(statement.target)
    for name in bound:
        taint.carries.setdefault(name, statement.lineno)
    value = statement.value if isinstance(statement, ast.Expr) else None
    while isinstance(value, ast.Await):
        value = value.value
    inner = call.value if isinstance(call, ast.Await) else call
    return value is inner and not bound


def _dropped(call: ast.expr) -> Verdict:
    why = f"the answer of the call in line {call.lineno} is not used: it may be made for its effect"
    return Verdict(UNKNOWN, (why,))


def _same_statement(module: Module, first: ast.expr, second: ast.expr) -> Verdict:
    """Judge two calls in one expression: `f() + g()`, but not `f() and g()` or `g() if f() else …`."""
    for node in module.ancestors(second):
        if isinstance(node, ast.stmt):
            break
        if first not in ast.walk(node):
            continue
        decides = (
            (isinstance(node, ast.BoolOp) and second not in ast.walk(node.values[0]))
            or (isinstance(node, ast.IfExp) and first in ast.walk(node.test))
            or (isinstance(node, ast.Call) and first in ast.walk(node.func) and second not in ast.walk(node.func))
        )
        if isinstance(node, COMPREHENSIONS) and first in ast.walk(node.generators[0].iter):
            decides = True
        if decides:
            return Verdict(DEPENDENT, (f"in line {node.lineno} the first answer decides about the second call",))
        return Verdict(INDEPENDENT, (f"line {node.lineno} makes both calls before it uses either answer",))
    statement = module.statement(second)
    if isinstance(statement, (ast.With, ast.AsyncWith, ast.For, ast.AsyncFor, ast.If, ast.While)):
        return Verdict(UNKNOWN, (f"the statement in line {statement.lineno} makes both calls",))
    return Verdict(INDEPENDENT, (f"line {second.lineno} makes both calls before it uses either answer",))


def _in_handler_of(module: Module, first: ast.expr, second: ast.expr) -> Verdict | None:
    for node in module.ancestors(second):
        if isinstance(node, ast.ExceptHandler):
            tried = module.parents[node]
            if isinstance(tried, ast.Try) and any(first in ast.walk(each) for each in tried.body):
                why = f"line {second.lineno} runs only when the call in line {first.lineno} failed"
                return Verdict(DEPENDENT, (why,))
    return None


def _spine(module: Module, statement: ast.stmt) -> set[ast.AST]:
    """Give a statement's siblings and those of the blocks around it: what runs whenever it runs."""
    spine: set[ast.AST] = set()
    around: list[ast.AST] = [statement, *module.ancestors(statement)]
    for node in around:
        for name in BLOCKS:
            block = getattr(node, name, None)
            if isinstance(block, list):
                spine |= set(block)
        for handler in getattr(node, "handlers", ()):
            spine |= set(handler.body)
    return spine


def _between(module: Module, start: ast.stmt, end: ast.stmt) -> list[ast.stmt]:
    """Give the statements that may run after `start` and before `end`, in source order, outermost ones only."""
    around = {node for node in module.ancestors(end) if isinstance(node, ast.stmt)}
    around_start = {node for node in module.ancestors(start) if isinstance(node, ast.stmt)}
    scope = module.scope(end)
    found: list[ast.stmt] = []

    def visit(block: Iterable[ast.stmt]) -> None:
        for statement in block:
            if statement in (start, end):
                continue
            if statement in around or statement in around_start:
                for inner in _blocks(statement):
                    visit(inner)
            elif (statement.lineno, statement.col_offset) > (start.lineno, start.col_offset) and (
                statement.lineno, statement.col_offset
            ) < (end.lineno, end.col_offset):  # fmt: skip
                found.append(statement)

    if start in around:  # the second call stands in the block of a `with` or `if` whose head makes the first
        for inner in _blocks(start):
            visit(inner)
    else:
        visit(getattr(scope, "body", []) if isinstance(getattr(scope, "body", []), list) else [])
    return found


def _blocks(statement: ast.AST) -> list[list[ast.stmt]]:
    blocks = [getattr(statement, name) for name in BLOCKS if isinstance(getattr(statement, name, None), list)]
    blocks += [handler.body for handler in getattr(statement, "handlers", ())]
    blocks += [case.body for case in getattr(statement, "cases", ())]
    return [block for block in blocks if block and isinstance(block[0], ast.stmt)]


def _head(statement: ast.stmt) -> list[ast.AST]:
    """Give what a compound statement evaluates itself, without its blocks."""
    heads: list[ast.AST] = [
        getattr(statement, name) for name in ("test", "iter", "subject") if getattr(statement, name, None) is not None
    ]
    return heads + [item.context_expr for item in getattr(statement, "items", ())]


def _transfer(statement: ast.stmt, taint: _Taint, conditional: bool) -> Verdict | None:
    """Carry the taint over one statement; a verdict where leaving the function here depends on the first answer."""
    blocks = _blocks(statement)
    if not blocks or isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        _assign(statement, taint, conditional)
        return None
    left = _enter(statement, taint)
    if left:
        return left
    for block in blocks:
        for inner in block:
            found = _transfer(inner, taint, conditional=True)
            if found:
                return found
    return None


def _enter(statement: ast.stmt, taint: _Taint) -> Verdict | None:
    """Carry the taint over the head of a compound statement: what it binds, what it decides."""
    for item in getattr(statement, "items", ()):
        if item.optional_vars is not None and taint.carried(item.context_expr):
            for name in names_bound(item.optional_vars):
                taint.carries[name] = statement.lineno
    decided = next((name for head in _head(statement) if (name := taint.carried(head))), "")
    if not decided:
        return None
    if isinstance(statement, (ast.For, ast.AsyncFor)):
        for name in names_bound(statement.target):
            taint.carries[name] = statement.lineno
    if isinstance(statement, (ast.If, ast.Match, ast.While)):
        left = _leaving_under(statement, decided)
        if left:
            return left
        for node in ast.walk(statement):  # what is bound under a tainted condition is tainted by it
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                taint.carries.setdefault(node.id, statement.lineno)
    return None


def _leaving_under(statement: ast.stmt, name: str) -> Verdict | None:
    """Leaving under a condition on the first answer decides about all that follows; raising on an error does not."""
    if any(isinstance(node, LEAVING) for node in ast.walk(statement)):
        return Verdict(DEPENDENT, (f"line {statement.lineno} decides by `{name}` whether the function goes on",))
    return None


def _assign(statement: ast.stmt, taint: _Taint, conditional: bool) -> None:
    reads, maybe = taint.carried(statement), taint.maybe(statement)
    bound: set[str] = set()
    if isinstance(statement, ast.Assign):
        bound = set().union(*(names_bound(target) for target in statement.targets))
        plain = all(isinstance(target, ast.Name) for target in statement.targets)
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        bound = names_bound(statement.target)
        plain = isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
    else:
        plain = False
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            bound = {statement.name}
    bound |= {node.target.id for node in ast.walk(statement) if isinstance(node, ast.NamedExpr)}
    if reads:
        for name in bound:
            taint.carries[name] = statement.lineno
    elif maybe:
        for name in bound:
            taint.touched[name] = statement.lineno
    elif plain and not conditional:
        for name in bound:
            taint.carries.pop(name, None)
            taint.touched.pop(name, None)
    if reads:
        _touch(statement, taint)


def _touch(statement: ast.stmt, taint: _Taint) -> None:
    """A method call or function that is given a tainted value may keep it in its receiver or other arguments."""
    for call in ast.walk(statement):
        if not isinstance(call, ast.Call):
            continue
        arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
        if not any(taint.carried(argument) for argument in arguments):
            continue
        kept = [argument for argument in arguments if isinstance(argument, ast.Name)]
        if isinstance(call.func, ast.Attribute) and isinstance(statement, ast.Expr):
            receiver = root_name(call.func)
            if receiver and receiver not in taint.carries and not _is_logging(call.func):
                taint.receive(receiver, call.func.attr, call.lineno)
        if isinstance(statement, ast.Expr) and not (isinstance(call.func, ast.Attribute) and _is_logging(call.func)):
            for argument in kept:
                if argument.id not in taint.carries and argument.id != "self":
                    taint.touched.setdefault(argument.id, call.lineno)


_LOG_METHODS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "log"})


def _is_logging(function: ast.Attribute) -> bool:
    return function.attr in _LOG_METHODS


def _guards(module: Module, start: ast.stmt, end: ast.stmt, taint: _Taint) -> Verdict | None:
    """A condition or loop around the second call, but not around the first, that reads the first answer."""
    outside = set(module.ancestors(start))
    line = end.lineno
    for node in module.ancestors(end):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            break
        if node in outside or not isinstance(node, ast.stmt):
            continue
        if node is start and isinstance(node, (ast.If, ast.While)):
            return Verdict(DEPENDENT, (f"line {node.lineno} decides by the first answer whether line {line} runs",))
        for head in _head(node):
            name = taint.carried(head)
            if name:
                how = "goes over" if isinstance(node, (ast.For, ast.AsyncFor)) else "decides by"
                since = taint.carries[name]
                why = f"line {node.lineno}, around the call in line {line}, {how} `{name}`, made of the answer in line {since}"
                return Verdict(DEPENDENT, (why,))
            if name := taint.maybe(head):
                return Verdict(UNKNOWN, (f"`{name}` in line {node.lineno} may have been changed by the first answer",))
    return None


def _uses(call: ast.expr, taint: _Taint) -> Verdict | None:
    name = taint.carried(call)
    if name:
        since = taint.carries[name]
        why = f"the call in line {call.lineno} reads `{name}`, which line {since} made of the answer"
        return Verdict(DEPENDENT, (why,))
    name = taint.maybe(call)
    if name:
        since = taint.touched[name]
        why = f"`{name}` in line {call.lineno} may have been changed by the answer in line {since}"
        return Verdict(UNKNOWN, (why,))
    return None


def _transfer_block(block: Sequence[ast.stmt], taint: _Taint, skip: set[ast.stmt], call: ast.expr) -> Verdict | None:
    """Carry the taint over a loop's body; the statements around the call are entered, the call's own one is kept."""
    for statement in block:
        if statement in skip:
            for inner in _blocks(statement):
                found = _transfer_block(inner, taint, skip, call)
                if found:
                    return found
            continue
        if any(isinstance(node, ast.stmt) and node in skip for node in ast.walk(statement)):
            continue
        before = dict(taint.carries)
        found = _transfer(statement, taint, conditional=True)
        if found and any(isinstance(node, (ast.Return, ast.Break)) for node in ast.walk(statement)):
            name = next(iter(sorted(set(before) | set(taint.carries))), "")
            return Verdict(DEPENDENT, (f"line {statement.lineno} ends the loop depending on the answer (`{name}`)",))
    return None


def _leaves(block: Sequence[ast.stmt], taint: _Taint, call: ast.expr) -> Verdict | None:
    """A loop that is left without a condition, or inside the `try` of the call, is a retry: it ends on success."""
    for statement in block:
        if isinstance(statement, (ast.Return, ast.Break)):
            return Verdict(DEPENDENT, (f"line {statement.lineno} ends the loop once a call has succeeded",))
        if isinstance(statement, (ast.Try, ast.With, ast.AsyncWith)):
            for inner in _blocks(statement):
                found = _leaves(inner, taint, call)
                if found:
                    return found
        ends = any(isinstance(node, (ast.Return, ast.Break)) for node in ast.walk(statement))
        if (
            ends
            and isinstance(statement, ast.If)
            and (call in ast.walk(statement.test) or taint.carried(statement.test))
        ):
            return Verdict(DEPENDENT, (f"line {statement.lineno} ends the loop depending on the answer",))
    return None
