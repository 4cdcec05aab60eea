"""The user's source code as it is needed to judge a place: parsed once a file, looked up by line and column."""

from __future__ import annotations

import ast
import functools
import os
import tokenize
from collections.abc import Iterator, Mapping
from typing import cast

from microdelay.record.source import masked
from microdelay.spans import Place

Function = ast.FunctionDef | ast.AsyncFunctionDef
Body = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Loop = ast.For | ast.AsyncFor | ast.While

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LOOPS = (ast.For, ast.AsyncFor, ast.While)

KEPT_FILES = 512
"""Parsed files that are kept; a diagnosis seldom looks at more than a hundred."""


class Module:
    """One parsed file, with the parent of each node."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.parents: dict[ast.AST, ast.AST] = {}
        self.functions: dict[str, list[Function]] = {}
        self.initialisers: dict[str, list[Function]] = {}
        self.properties: dict[str, list[Function]] = {}
        self.imported: set[str] = set()
        # Columns of code positions count bytes of UTF-8; so do the columns of `ast`.
        self._at: dict[tuple[int, int, int, int], list[ast.expr]] = {}
        self._with_heads: dict[tuple[int, int, int, int], ast.expr] = {}
        self._bodies: dict[str, list[Body]] = {}
        self._calls: dict[int, list[ast.Call]] = {}
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                self.parents[child] = node
            self._index(node)

    def _index(self, node: ast.AST) -> None:
        if isinstance(node, ast.expr):
            self._at.setdefault(_extent(node), []).append(node)
            if isinstance(node, ast.Call):
                self._calls.setdefault(node.lineno, []).append(node)
        elif isinstance(node, (ast.With, ast.AsyncWith)) and len(node.items) == 1:
            self._with_heads[_extent(node)] = node.items[0].context_expr
        elif isinstance(node, (ast.AsyncFor, ast.For)):
            self._with_heads[_extent(node)] = node.iter
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            self.imported |= {(each.asname or each.name).partition(".")[0] for each in node.names}
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            self.functions.setdefault(node.name, []).append(node)
            self._bodies.setdefault(node.name, []).append(node)
            around = self.parents.get(node)
            if node.name in ("__init__", "__post_init__") and isinstance(around, ast.ClassDef):
                self.initialisers.setdefault(around.name, []).append(node)
            if any("property" in ast.unparse(each) for each in node.decorator_list):
                self.properties.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Lambda):
            self._bodies.setdefault("<lambda>", []).append(node)

    def expression(self, place: Place) -> ast.expr | None:
        """Give the expression at a place: the call or await that ran there."""
        key = place.line, place.end_line, place.column, place.end_column
        found = self._at.get(key)
        if found:
            return found[0]
        if place.column >= 0:
            return self._with_heads.get(key)
        calls = self._calls.get(place.line, ())
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

    def scope(self, node: ast.AST) -> Body | ast.Module:
        """Give the function, lambda or module that a node stands in."""
        for each in self.ancestors(node):
            if isinstance(each, (*FUNCTIONS, ast.Module)):
                return each
        return self.tree

    def is_method(self, function: ast.AST) -> bool:
        """Tell whether a function stands directly in a class."""
        return isinstance(self.parents.get(function), ast.ClassDef)

    def function(self, name: str, line: int) -> Body | None:
        """Give the function or lambda of a qualified name whose first line, or one of whose lines, is `line`."""
        short = name.rpartition(".")[2]
        found = [
            node
            for node in self._bodies.get(short, ())
            if min((each.lineno for each in getattr(node, "decorator_list", ())), default=node.lineno)
            <= line
            <= (node.end_lineno or node.lineno)
        ]
        return min(found, key=lambda node: (node.end_lineno or 0) - node.lineno, default=None)


def _extent(node: ast.expr | ast.stmt) -> tuple[int, int, int, int]:
    return node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0


_recorded: dict[str, str] = {}  # of the recording that is being diagnosed

changed: set[str] = set()
"""Files that were taken from the recording, because they have changed since."""


def use(recorded: Mapping[str, str]) -> None:
    """Take modules from now on as a recording has them, where their files have changed since."""
    _recorded.clear()
    changed.clear()
    _recorded.update(recorded)
    _parsed.cache_clear()


def module(file: str) -> Module | None:
    """Parse a file, again if it has changed; None where it is neither there, as Python, nor in the recording."""
    try:
        stat = os.stat(file)
    except (OSError, ValueError):
        return _parsed(file, 0, 0) if file in _recorded else None
    return _parsed(file, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(KEPT_FILES)
def _parsed(file: str, _changed_ns: int, _size: int) -> Module | None:
    try:
        recorded = _recorded.get(file)
        if recorded is not None and not _is_as_recorded(file, recorded):
            changed.add(file)
            return Module(ast.parse(recorded, file))
        with open(file, "rb") as opened:
            # From bytes: then `ast` follows the file's own coding line, and columns stay those of the running code.
            return Module(ast.parse(opened.read(), file))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_as_recorded(file: str, recorded: str) -> bool:
    try:
        with tokenize.open(file) as opened:
            return masked(opened.read()) == recorded
    except (OSError, SyntaxError, ValueError, tokenize.TokenError):
        return False


def parameters(body: Body) -> list[str]:
    """Give the names of a function's parameters in order, the starred ones last."""
    spec = body.args
    named = [each.arg for each in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    return named + [each.arg for each in (spec.vararg, spec.kwarg) if each is not None]


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


def without_await(node: ast.expr) -> ast.expr:
    """Give what is awaited in `await …`, any other node as it is."""
    while isinstance(node, ast.Await):
        node = node.value
    return node
