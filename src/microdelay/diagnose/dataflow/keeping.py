"""Where a call may keep an answer that it is given: in the object whose method it is, in its other arguments."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from microdelay.diagnose.dataflow.callees import ADDING, LOGGING, READING, keeps_nothing
from microdelay.diagnose.dataflow.source import Module
from microdelay.diagnose.dataflow.taint import ANY_ITEM, MAYBE, Mark, Path, State, path_of
from microdelay.diagnose.dataflow.values import called, may_change

FILES: Path = ("<files>",)
"""Where what is written to a file is kept: whoever opens one may read it."""

WRITING = frozenset({"dump", "save", "write", "write_bytes", "write_text", "writelines"})
OPENING = frozenset({"open", "read_bytes", "read_text"})


def keep(
    module: Module, node: ast.Call, given: Mark, marks: Sequence[tuple[ast.expr, Mark]], state: State
) -> None:  # fmt: skip
    """Note in the state what a call may have kept; `given` is the surest of the marks of its arguments."""
    name = called(node)
    maybe = Mark(MAYBE, given.name, node.lineno)
    dropped = is_dropped(module, node)
    if isinstance(node.func, ast.Attribute) and (path := path_of(node.func.value)) is not None:
        if name in ADDING:
            state.change((*path, ANY_ITEM), Mark(given.level, given.name, node.lineno))
        elif path == ("self",):
            _keep_in_self(module, name, given, node.lineno, state)
        elif name not in LOGGING and _may_keep(name, path[0] in module.imported, dropped):
            state.change(path, maybe)
    if name in WRITING:
        state.change(FILES, maybe)
    functions = module.functions.get(name, ())
    harmless = name in ADDING or name in LOGGING or name == "print" or (keeps_nothing(name) and not dropped)
    if harmless and not functions:
        return
    for number, (argument, own) in enumerate(marks):
        path = path_of(argument)
        if own.level or path is None or path == ("self",):
            continue
        if not functions or any(may_change(module, each, node, number) for each in functions):
            state.change(path, maybe)


def _may_keep(method: str, imported: bool, dropped: bool) -> bool:
    """Tell whether an object may keep what its method is given: one whose answer is dropped is called for that."""
    reading = bool(READING.search(method))
    return (dropped and not (imported and reading)) or (not reading and not imported)


def is_dropped(module: Module, node: ast.AST) -> bool:
    """Tell whether nothing is done with a call's answer."""
    parent = module.parents.get(node)
    while isinstance(parent, ast.Await):
        parent = module.parents.get(parent)
    return isinstance(parent, ast.Expr)


def _keep_in_self(module: Module, name: str, given: Mark, line: int, state: State) -> None:
    """Note what a method of the same object that is given the answer may write of it."""
    methods = module.functions.get(name, ())
    if not methods and not READING.search(name):
        state.change(("self",), Mark(MAYBE, given.name, line))
    for function in methods:
        for node in ast.walk(function):
            path = _written(node)
            if path is not None and path[0] == "self":
                state.change(path, Mark(given.level, given.name, line))


def _written(node: ast.AST) -> Path | None:
    """Give the path that a statement's part writes, or that a container's method adds to."""
    if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        return path_of(node)
    if isinstance(node, ast.Call) and called(node) in ADDING and isinstance(node.func, ast.Attribute):
        path = path_of(node.func.value)
        return (*path, ANY_ITEM) if path is not None else None
    return None
