"""The user's source code as it is needed to judge a place: parsed once a file, looked up by line and column."""

from __future__ import annotations

import ast
import functools
import tokenize
from collections.abc import Iterator
from typing import cast

from microdelay.spans import Place

Function = ast.FunctionDef | ast.AsyncFunctionDef

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Module:
    """One parsed file, with the parent of each node."""

    def __init__(self, tree: ast.Module, lines: list[str]) -> None:
        self.tree = tree
        self.lines = lines
        self.parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        # Columns of code positions count bytes of UTF-8; so do the columns of `ast`.
        self._at: dict[tuple[int, int, int, int], list[ast.expr]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.expr) and node.end_lineno is not None and node.end_col_offset is not None:
                key = node.lineno, node.end_lineno, node.col_offset, node.end_col_offset
                self._at.setdefault(key, []).append(node)

    def expression(self, place: Place) -> ast.expr | None:
        """Give the expression at a place: the call or await that ran there."""
        found = self._at.get((place.line, place.end_line, place.column, place.end_column))
        if found:
            return found[0]
        if place.column >= 0:
            return None
        calls = [node for node in ast.walk(self.tree) if isinstance(node, ast.Call) and node.lineno == place.line]
        return calls[0] if len(calls) == 1 else None

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """Give the nodes around a node, innermost first."""
        while (parent := self.parents.get(node)) is not None:
            yield parent
            node = parent

    def statement(self, node: ast.AST) -> ast.stmt:
        """Give the statement that a node stands in."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def scope(self, node: ast.AST) -> ast.AST:
        """Give the function, lambda or module that a node stands in."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.Module)
        return next(each for each in self.ancestors(node) if isinstance(each, kinds))

    def function(self, name: str, line: int) -> Function | None:
        """Give the function of a qualified name that a line stands in."""
        short = name.rpartition(".")[2]
        found = [
            node
            for node in ast.walk(self.tree)
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            and node.name == short
            and node.lineno - len(node.decorator_list) * 8 <= line <= (node.end_lineno or node.lineno)
        ]
        return min(found, key=lambda node: (node.end_lineno or 0) - node.lineno, default=None)


@functools.lru_cache(512)
def module(file: str) -> Module | None:
    """Parse a file; None where it is not there or no longer Python."""
    try:
        with tokenize.open(file) as opened:
            text = opened.read()
        return Module(ast.parse(text), text.splitlines())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def line_of(place: Place) -> str:
    """Give the source line of a place, "" where it is not to be had."""
    parsed = module(place.file)
    return parsed.lines[place.line - 1].strip() if parsed and 0 < place.line <= len(parsed.lines) else ""


def root_name(node: ast.AST) -> str:
    """Give the variable that an attribute, subscript or call chain starts from, "" where there is none."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Await, ast.Starred)):
        node = cast(ast.AST, getattr(node, "value", None) or getattr(node, "func", None))
    return node.id if isinstance(node, ast.Name) else ""


def names_read(node: ast.AST) -> set[str]:
    """Give the variables that are read anywhere in a node."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Load)}


def names_bound(target: ast.AST) -> set[str]:
    """Give the variables that an assignment to a target binds or changes."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return set().union(*(names_bound(each) for each in target.elts))
    if isinstance(target, ast.Starred):
        return names_bound(target.value)
    return {name} if (name := root_name(target)) else set()


def attributes_read(node: ast.AST) -> set[str]:
    """Give the names of the attributes that are read in a node."""
    return {each.attr for each in ast.walk(node) if isinstance(each, ast.Attribute) and isinstance(each.ctx, ast.Load)}


def attributes_written(node: ast.AST) -> dict[str, int]:
    """Give the names of the attributes that are written in a node, with a line of each."""
    return {
        each.attr: each.lineno
        for each in ast.walk(node)
        if isinstance(each, ast.Attribute) and isinstance(each.ctx, (ast.Store, ast.Del))
    }


def globals_written(node: ast.AST) -> dict[str, int]:
    """Give the global or enclosing names that a function declares it writes, with the line."""
    declared = [each for each in ast.walk(node) if isinstance(each, (ast.Global, ast.Nonlocal))]
    return {name: each.lineno for each in declared for name in each.names}
