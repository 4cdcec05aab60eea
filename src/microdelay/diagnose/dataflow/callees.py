"""What the functions of a module may read and change, followed through the calls that its source names."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from microdelay.diagnose.dataflow.source import Body, Module, names_bound, parameters


def names(text: str) -> frozenset[str]:
    """Give the words of a text."""
    return frozenset(text.split())


BUILTINS = names(
    "abs all any ascii bool bytes chr dict divmod enumerate filter float format frozenset getattr hasattr hash "
    "hex id int isinstance iter len list map max min next oct ord print range repr reversed round set sorted str "
    "sum tuple type vars zip"
)
"""Functions that keep and change nothing of what they are given."""

LOGGING = names("critical debug error exception info log warn warning")

ADDING = names("add append appendleft extend extendleft insert push put put_nowait setdefault update")
"""Methods by which containers take something in."""

READING = re.compile(
    r"^_?(get|fetch|load|read|find|list|search|query|select|lookup|ask|call|request|post|put|patch|delete|head|options|"
    r"execute|fetch\w*|parse|format|render|build|make|create|to|from|is|has|join|split|strip|encode|decode|dumps|loads|"
    r"json|keys|values|items|index|count|copy|replace|startswith|endswith|strftime|match|sub|lower|upper|analy[sz]e|"
    r"compute|calculate|convert|decide|summari[sz]e|translate|classify|embed|complete|chat|predict|score)(_|$|[A-Z])"
)
"""Names of functions that by what they are called answer, and do not change what they are given besides.

A client that is told something by a request and remembers it is seen by the values that flow, and by the method.
"""

PACING = re.compile(r"(^|[._])(sleep|throttl\w*|\w*limiter|rate_?limit\w*|acquire|back_?off|wait)$", re.IGNORECASE)
"""Calls that keep other calls apart."""

KEEPING_APART = re.compile(
    r"(lock|mutex|semaphore|\bsem\b|limiter|throttl|rate_?limit|transaction|atomic|\.begin\()", re.IGNORECASE
)
"""Context managers that let one call in at a time, or keep an order."""


@dataclass(frozen=True, slots=True)
class Reads:
    """The free names and the attributes that a call may read; `everything` where that cannot be told."""

    names: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()
    everything: bool = False

    def has(self, part: str) -> bool:
        """Tell whether a part of an object (".name" or an item) may be read."""
        return self.everything or not part.startswith(".") or part[1:] in self.attributes

    def __or__(self, other: Reads) -> Reads:
        """Give what either reads."""
        return Reads(
            self.names | other.names, self.attributes | other.attributes, self.everything or other.everything
        )  # fmt: skip


@lru_cache(4096)
def reads_of(module: Module, body: Body) -> Reads:
    """Give what a function reads, with all functions of its module whose names it mentions."""
    free: set[str] = set()
    attributes: set[str] = set()
    everything = False
    waiting: list[Body] = [body]
    seen: set[ast.AST] = {body}
    while waiting:
        at = waiting.pop()
        own_names, own_attributes, dynamic = _mentions(at)
        free |= own_names
        attributes |= own_attributes
        everything |= dynamic
        for name in own_names | own_attributes:
            for function in module.functions.get(name, ()):
                if function not in seen:
                    seen.add(function)
                    waiting.append(function)
    return Reads(frozenset(free), frozenset(attributes), everything)


def _mentions(body: Body) -> tuple[set[str], set[str], bool]:
    """Give a function's free names, the attributes it reads, and whether it hands itself on or looks up by value."""
    bound = local_names(body)
    free: set[str] = set()
    attributes: set[str] = set()
    looked_up: set[ast.AST] = set()
    dynamic = False
    for node in ast.walk(body):
        if isinstance(node, ast.Attribute):
            looked_up.add(node.value)
            if isinstance(node.ctx, ast.Load):
                attributes.add(node.attr)
                dynamic |= node.attr == "__dict__"
    for node in ast.walk(body):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            if node.id in ("self", "cls") and node not in looked_up:
                dynamic = True
            dynamic |= node.id in ("getattr", "vars", "globals", "locals")
            if node.id not in bound:
                free.add(node.id)
    return free, attributes, dynamic


@lru_cache(4096)
def local_names(body: Body) -> frozenset[str]:
    """Give the names that a function binds itself, its parameters among them."""
    own = set(parameters(body))
    shared: set[str] = set()
    for node in ast.walk(body):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            shared |= set(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
    return frozenset(own - shared)


@dataclass(frozen=True, slots=True)
class Write:
    """A part of something shared that a function writes: `name` is the attribute's or the variable's."""

    name: str
    line: int


def shared_writes(module: Module, bodies: Iterable[Body]) -> list[Write]:
    """Give the attributes of parameters and shared objects, and the shared names, that functions write.

    What is written only where it was found missing (a client made on first use) does not count.
    """
    found: list[Write] = []
    for body in bodies:
        bound = local_names(body) - set(parameters(body))
        shared = {
            name for node in ast.walk(body) if isinstance(node, (ast.Global, ast.Nonlocal)) for name in node.names
        }
        for node in ast.walk(body):
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and node.id in shared:
                name = node.id
            elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
                if names_bound(node) & bound:
                    continue
                name = node.attr
            else:
                continue
            if not _made_on_first_use(module, node, name):
                found.append(Write(name, node.lineno))
    return found


def _made_on_first_use(module: Module, node: ast.AST, name: str) -> bool:
    for around in module.ancestors(node):
        if isinstance(around, ast.If) and any(
            (isinstance(each, ast.Attribute) and each.attr == name) or (isinstance(each, ast.Name) and each.id == name)
            for each in ast.walk(around.test)
        ):
            return True
    return False


@lru_cache(4096)
def changes(module: Module, body: Body, parameter: str) -> bool:
    """Tell whether a function may change or keep what it is given as `parameter`."""
    for node in ast.walk(body):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            if parameter in names_bound(node):
                return True
        elif isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Attribute) and parameter in names_bound(function):
                if not READING.search(function.attr) and function.attr not in LOGGING:
                    return True
            elif any(_hands_on(argument, parameter) for argument in [*node.args, *(k.value for k in node.keywords)]):
                name = function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")
                if not keeps_nothing(name):
                    return True
        elif (
            isinstance(node, ast.Assign)
            and _hands_on(node.value, parameter)
            and not all(isinstance(target, ast.Name) for target in node.targets)
        ):
            return True
    return False


def _hands_on(node: ast.AST, parameter: str) -> bool:
    return isinstance(node, ast.Name) and node.id == parameter


def keeps_nothing(name: str) -> bool:
    """Tell by its name whether a function changes nothing of what it is given: a builtin, a reader, a constructor."""
    return name in BUILTINS or name in LOGGING or bool(READING.search(name)) or name[:1].isupper()
