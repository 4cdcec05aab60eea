"""What keeps calls apart on purpose: pauses, rate limiters, locks, transactions, also inside the user's own helpers."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache

from microdelay.diagnose.dataflow.names import (
    FORBIDDING,
    IN_ORDER,
    KEEPING_APART,
    PACING,
    PAUSING,
    POOLS,
    STATUS,
    TRACING,
)
from microdelay.diagnose.dataflow.source import FUNCTIONS, LOOPS, Module, names_bound, without_await


def is_pacing(module: Module, call: ast.Call) -> bool:
    """Tell whether a call is made to let time pass or to wait for leave, by its name or by its function's source."""
    name = dotted(call.func)
    if PACING.search(name):
        return not POOLS.search(name) and name.rpartition(".")[2] != "wait_for"
    return any(paces(module, function) for function in meant(module, call.func))


def keeps_apart(module: Module, head: ast.expr) -> bool:
    """Tell whether a `with` lets one block in at a time, or after a while, by its name or by what it was made as."""
    text = ast.unparse(head)
    if TRACING.search(text) or POOLS.search(text):
        return False
    if KEEPING_APART.search(text):
        return True
    if isinstance(head, ast.Call):
        return any(paces(module, function) for function in meant(module, head.func))
    name = dotted(head).rpartition(".")[2]
    made = made_as(module, name)
    if any(KEEPING_APART.search(each) for each in made):
        return True
    classes = [each.rpartition(".")[2] for each in made] or _entered(module)
    return bool(name) and any(
        paces(module, function) for each in classes for function in meant(module, ast.Name(each, ast.Load()))
    )


@lru_cache(512)
def _entered(module: Module) -> list[str]:
    """Give the classes of a module that a `with` may enter."""
    methods = [each for name in ("__enter__", "__aenter__") for each in module.functions.get(name, ())]
    return [around.name for each in methods if isinstance(around := module.parents[each], ast.ClassDef)]


def on_purpose(module: Module, node: ast.expr) -> bool:
    """Tell whether a call, or what a `with` enters, lets time pass each time the program comes by: it sets a pace.

    A pause that only some ways lead through, or that a loop makes which something ends early, is an attempt's or a
    poll's: it says nothing of the calls after those.
    """
    node = without_await(node)
    if isinstance(node, ast.Call) and not PAUSING.search(dotted(node.func)):
        return False
    if not isinstance(node, ast.Call) and not (PAUSING.search(dotted(node)) or _enters_a_pause(module, node)):
        return False
    nothing = isinstance(node, ast.Call) and any(isinstance(a, ast.Constant) and not a.value for a in node.args[:1])
    return not nothing and _each_time(module, node)


def _enters_a_pause(module: Module, head: ast.expr) -> bool:
    """Tell whether the class that an object was made of sleeps where a `with` enters it."""
    made = {text.rpartition(".")[2] for text in made_as(module, dotted(head).rpartition(".")[2])}
    return any(
        isinstance(around := module.parents[function], ast.ClassDef)
        and around.name in made
        and any(isinstance(each, ast.Call) and on_purpose(module, each) for each in ast.walk(function))
        for name in ("__enter__", "__aenter__")
        for function in module.functions.get(name, ())
    )


def _each_time(module: Module, node: ast.AST) -> bool:
    """Tell whether nothing between a node and its function decides about it, and no loop around it ends early."""
    for around in module.ancestors(node):
        if isinstance(around, FUNCTIONS):
            break
        if isinstance(around, (ast.If, ast.IfExp, ast.BoolOp, ast.ExceptHandler, ast.Match, ast.While)):
            return False
        if isinstance(around, LOOPS) and any(isinstance(e, (ast.Break, ast.Return)) for e in ast.walk(around)):
            return False
    return True


def ordered_by(module: Module, first: ast.AST, second: ast.AST) -> str:
    """Give the transaction that stands around both of two calls, as it is written; "" where there is none."""
    around = set(module.ancestors(second))
    for node in module.ancestors(first):
        if node in around and isinstance(node, (ast.With, ast.AsyncWith)):
            heads = [item.context_expr for item in node.items]
        elif node in around and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            heads = node.decorator_list
        else:
            continue
        for head in heads:
            text = ast.unparse(head)
            if IN_ORDER.search(text) and not TRACING.search(text):
                return text
    return ""


def forbidding(module: Module, body: ast.AST) -> ast.Raise | None:
    """Give the exception by which a function forbids what would follow it; None where it has none."""
    return next((each for each in ast.walk(body) if isinstance(each, ast.Raise) and forbids(module, each)), None)


def forbids(module: Module, node: ast.Raise) -> bool:
    """Tell whether an exception says that something is not to be done; that a request was refused is a failure."""
    said = [ast.unparse(each) for each in ast.walk(node) if isinstance(each, (ast.Constant, ast.Attribute))]
    if not FORBIDDING.search(" ".join([raised(node), *(each for each in said if each[:1] not in "'\"")])):
        return False
    for around in module.ancestors(node):
        if isinstance(around, ast.If):
            return not any(STATUS.search(dotted(each)) for each in ast.walk(around.test))
        if isinstance(around, (ast.ExceptHandler, *FUNCTIONS)):
            return False
    return False


def raised(node: ast.Raise) -> str:
    """Give the name of the exception that is raised, "" for one that is raised again."""
    return dotted(node.exc.func if isinstance(node.exc, ast.Call) else node.exc) if node.exc is not None else ""


def attempts(module: Module, block: ast.With | ast.AsyncWith, head: ast.expr) -> bool:
    """Tell whether a block is one attempt of several: its context manager is what the loop around it goes over."""
    if not isinstance(head, ast.Name):
        return False
    for node in module.ancestors(block):
        if isinstance(node, FUNCTIONS):
            return False
        if isinstance(node, (ast.For, ast.AsyncFor)) and head.id in names_bound(node.target):
            return True
    return False


@lru_cache(4096)
def paces(module: Module, body: ast.AST) -> bool:
    """Tell whether a function, or the methods of a class by which a `with` enters it, waits for time or for leave.

    What it does where something failed does not count: a pause before another attempt keeps no other calls apart.
    """
    waiting: list[ast.AST] = [body]
    seen: set[ast.AST] = set()
    while waiting:
        at = waiting.pop()
        if at in seen:
            continue
        seen.add(at)
        for node in _unless_failed(at):
            if isinstance(node, ast.Call):
                name = dotted(node.func)
                if PACING.search(name) and not POOLS.search(name) and name.rpartition(".")[2] != "wait_for":
                    return True
                waiting += meant(module, node.func)
            elif isinstance(node, (ast.With, ast.AsyncWith)):
                for item in node.items:
                    head = item.context_expr
                    if not isinstance(head, ast.Call) and keeps_apart(module, head):
                        return True
                    text = ast.unparse(head)
                    if KEEPING_APART.search(text) and not (TRACING.search(text) or POOLS.search(text)):
                        return True
    return False


def _unless_failed(body: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes of a function but for its handlers of exceptions and, in a loop, its attempts."""
    waiting = list(ast.iter_child_nodes(body))
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ExceptHandler):
            continue
        if isinstance(node, LOOPS) and any(isinstance(each, ast.Try) for each in ast.walk(node)):
            continue
        yield node
        waiting += ast.iter_child_nodes(node)


def meant(module: Module, node: ast.AST) -> list[ast.AST]:
    """Give the functions of the module that a call may mean by name; of a class, what enters it as a `with`."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    found: list[ast.AST] = list(module.functions.get(name, ()))
    for method in ("__enter__", "__aenter__", "__call__"):
        found += [
            each
            for each in module.functions.get(method, ())
            if isinstance(around := module.parents[each], ast.ClassDef) and around.name == name
        ]
    return found


def made_as(module: Module, name: str) -> list[str]:
    """Give what the variables and attributes of a name are made by anywhere in a module, as it is written."""
    return _made_as(module).get(name, [])


@lru_cache(512)
def _made_as(module: Module) -> dict[str, list[str]]:
    """Give for each name and attribute of a module what it is given as a value anywhere, as it is written."""
    found: dict[str, list[str]] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
            text = ast.unparse(node.value.func)
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if name := dotted(target).rpartition(".")[2]:
                    found.setdefault(name, []).append(text)
        elif isinstance(node, ast.withitem) and isinstance(node.context_expr, ast.Call) and node.optional_vars:
            if name := dotted(node.optional_vars):
                found.setdefault(name, []).append(ast.unparse(node.context_expr.func))
        elif isinstance(node, ast.arg) and node.annotation is not None:
            found.setdefault(node.arg, []).append(ast.unparse(node.annotation))
    return found


def dotted(node: ast.AST) -> str:
    """Give a name with the attributes looked up in it, as far as they are plain: `self.rate.acquire`."""
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return f"{base}.{node.attr}" if base else node.attr
    return node.id if isinstance(node, ast.Name) else ""
