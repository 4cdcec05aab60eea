"""Where a call may keep an answer that it is given: in its object, its other arguments, in what its source writes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from microdelay.diagnose.dataflow.apart import made_as
from microdelay.diagnose.dataflow.callees import (
    called,
    changes_nothing,
    effects_of,
    is_dropped,
    is_taking,
    local_names,
    may_change,
    may_take,
    reads_of,
)
from microdelay.diagnose.dataflow.names import ADDING, BY_NAME, CALLING, FILES, LOGGING, READING, WRITING
from microdelay.diagnose.dataflow.source import FUNCTIONS, Body, Module, names_read, root_name
from microdelay.diagnose.dataflow.taint import ANY_ITEM, CARRIES, MAYBE, Mark, Path, State, path_of, strongest


@dataclass(frozen=True)
class Scope:
    """The function that is followed, and the module that it stands in."""

    module: Module
    body: Body | ast.Module

    def binds(self, name: str) -> bool:
        """Tell whether a name is one of the function's own variables."""
        return isinstance(self.body, Body) and name in local_names(self.body)

    def resolved(self, node: ast.AST, state: State) -> Sequence[Body]:
        """Give the functions of the module that an expression may mean."""
        if isinstance(node, FUNCTIONS):
            return [node]
        if isinstance(node, ast.Attribute):
            return () if root_name(node) in self.module.imported else self.module.functions.get(node.attr, ())
        if not isinstance(node, ast.Name):
            return ()
        if node.id in state.functions:
            return [each for each in state.functions[node.id] if isinstance(each, FUNCTIONS)]
        found = self.module.functions.get(node.id, ())
        if self.binds(node.id):
            return [each for each in found if self.body in self.module.ancestors(each)]
        plain = [each for each in found if not self.module.is_method(each)]
        return plain or self.module.initialisers.get(node.id, [])

    def shares(self, function: Body, name: str) -> bool:
        """Tell whether a variable that another function shares may be the one that has this name here."""
        return not self.binds(name) or self.body in self.module.ancestors(function)

    def read_by(self, function: Body, state: State) -> Mark:
        """Give the mark of what a function reads that it is not given; through others that it calls less surely."""
        reads = reads_of(self.module, function)
        direct = names_read(function)
        found: list[Mark] = []
        for path, mark in state.held.items():
            if path[0] not in reads.names or not self.shares(function, path[0]):
                continue
            if len(path) == 1 or reads.has(path[1]):
                found.append(Mark(mark.level if path[0] in direct else MAYBE, mark.name, mark.line))
        return strongest(found)

    def by_name(self) -> ast.Call | None:
        """Give the call through which variables are read or written that the source does not name."""
        for node in ast.walk(self.body):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BY_NAME:
                scope = self.module.scope(node)
                if isinstance(self.body, Body) or scope is self.body:
                    return node
        return None


@dataclass(frozen=True)
class Keeping:
    """Notes in the state what a call may have kept.

    `given` is the surest of the marks of its arguments and of the decisions that led to it, `told` that of its function
    besides: of the object whose method it is, and of what it reads by itself.
    """

    scope: Scope
    node: ast.Call
    given: Mark
    told: Mark
    state: State

    def note(self, marks: Iterable[tuple[ast.expr, Mark]]) -> None:
        """Note all of it; `marks` are the arguments with their marks."""
        arguments = list(marks)
        for function in (self.node.func, *(part for argument, _ in arguments for part in parts_of(argument))):
            self._by_source(function)
        if isinstance(self.node.func, ast.Attribute):
            path = path_of(self.node.func.value)
            # What is all made of the answer already has nothing more to keep of it.
            told = any(mark.level for _, mark in arguments)
            if path is not None and (told or not self._is_answer(path)):
                self._in_object(path)
            elif told and self.told.level < CARRIES:
                self._in_object_made(self.node.func.value)
            if called(self.node) in ("send", "asend") and path is not None:
                for source in self._reached(path[0]):
                    self._by_source(ast.Name(source[0], ast.Load()))
        elif arguments:
            self._in_callable()
        if called(self.node) in CALLING:
            for argument, _ in arguments:
                path = path_of(argument)
                if path is not None and is_taking(argument):
                    self._change(path[:-1])
        if self.given.level:
            self._in_arguments(arguments)

    def _change(self, path: Path, level: int = MAYBE) -> None:
        mark = strongest([self.given, self.told])
        self.state.change(path, Mark(min(level, max(mark.level, MAYBE)), mark.name, self.node.lineno))

    def _is_answer(self, path: Path) -> bool:
        return any(path[:length] in self.state.held for length in range(1, len(path) + 1))

    def _in_arguments(self, arguments: Sequence[tuple[ast.expr, Mark]]) -> None:
        if called(self.node) in WRITING:
            self._change((FILES,))
        for keyword in self.node.keywords:
            if keyword.arg == "file" and (path := path_of(keyword.value)) is not None:  # print(answer, file=out)
                self._change(path)
        functions = self.scope.resolved(self.node.func, self.state)
        if not functions and self._harmless():
            return
        for number, (argument, own) in enumerate(arguments):
            if own.level == CARRIES:
                continue
            if not functions or any(may_change(self.scope.module, each, self.node, number) for each in functions):
                for path in filter(None, map(path_of, parts_of(argument))):
                    self._change(path)

    def _harmless(self) -> bool:
        """Tell whether a call whose source is not at hand changes none of its arguments."""
        name = called(self.node)
        if name in ADDING or name in LOGGING or name == "print":
            return True
        return changes_nothing(name) and not is_dropped(self.scope.module, self.node)

    def _by_source(self, function: ast.AST) -> None:
        """Note what the functions that an expression may mean write besides their parameters."""
        receiver = path_of(function.value) if isinstance(function, ast.Attribute) else None
        for each in self.scope.resolved(function, self.state):
            effects = effects_of(self.scope.module, each)
            for path in sorted(effects.own | effects.reached):
                if path[0] not in ("self", "cls"):
                    if self.scope.shares(each, path[0]):
                        self._change(path)
                elif receiver is not None:
                    # A method that is called at `self` is this one; at another object it may be another's.
                    sure = receiver in (("self",), ("cls",)) and path in effects.own
                    self._change((*receiver, *path[1:]), CARRIES if sure else MAYBE)
            if effects.anything:
                line = self.node.lineno
                why = f"`{called(self.node)}` in line {line} may change variables that its source does not name"
                self.state.controls.setdefault(("function", 0), Mark(MAYBE, "", line, why))

    def _in_object_made(self, value: ast.AST) -> None:
        """Note what an object may keep that a function gives: `get_state().remember(a)`, `super().remember(a)`."""
        name = root_name(value)
        if name and may_take(self.scope.module, self.node, name in self.scope.module.imported):
            self._change(("self",) if name == "super" else (name,))

    def _in_callable(self) -> None:
        """Note what is kept by anything else that is called: a bound method, a `partial`, a callable object."""
        itself = isinstance(self.node.func, ast.Name)
        for name in sorted(names_read(self.node.func)):
            meant = ast.Name(name, ast.Load())
            if (itself and not self.scope.binds(name)) or self.scope.resolved(meant, self.state):
                self._by_source(meant)
                continue
            if is_dropped(self.scope.module, self.node) and name not in LOGGING:
                self._change((name,))
            for source in self._reached(name):
                self._in_reached(source)

    def _in_reached(self, source: Path) -> None:
        function: ast.expr = ast.Name(source[0], ast.Load())
        if len(source) > 1 and source[-1].startswith("."):
            method = source[-1][1:]
            function = ast.Attribute(function, method, ast.Load())
            taking = is_taking(function) or is_dropped(self.scope.module, self.node)
            if taking and method not in LOGGING:
                self._change(source[:-1])
        if self.scope.resolved(function, self.state):
            self._by_source(function)
        elif len(source) == 1 and source[0] not in ("partial", "functools"):
            self._change(source)
        for each in self.scope.module.functions.get("__call__", ()):
            self._by_source(each)

    def _reached(self, name: str) -> Iterator[Path]:
        """Give what a variable is another name of, or has inside, through other variables too."""
        waiting, seen = [name], {name}
        while waiting:
            for link in self.state.links.get(waiting.pop(), ()):
                yield link.source
                if link.source[0] not in seen:
                    seen.add(link.source[0])
                    waiting.append(link.source[0])

    def _in_object(self, path: Path) -> None:
        """Note what the object whose method is called may keep."""
        module, name = self.scope.module, called(self.node)
        if name in ADDING or (len(path) == 1 and self._is_pipeline(path[0])):
            if self.given.level:
                self._change((*path, ANY_ITEM), self.given.level)
        elif path == ("self",):
            known = bool(module.functions.get(name))
            if self.given.level and not known and (not READING.search(name) or is_dropped(module, self.node)):
                self._change(path)
        elif may_take(module, self.node, path[0] in module.imported):
            self._change(path)

    def _is_pipeline(self, name: str) -> bool:
        """Tell whether a variable is a pipeline: its methods take commands in, which it sends when it is executed."""
        own = isinstance(self.scope.body, Body) and name in local_names(self.scope.body)
        return own and any(made.endswith(".pipeline") for made in made_as(self.scope.module, name))


def parts_of(argument: ast.expr) -> Iterator[ast.expr]:
    """Give the objects that an argument hands over: itself, or those in a display or behind a star."""
    if isinstance(argument, ast.Starred):
        yield from parts_of(argument.value)
    elif isinstance(argument, (ast.List, ast.Tuple, ast.Set)):
        for each in argument.elts:
            yield from parts_of(each)
    elif isinstance(argument, ast.Dict):
        for each in argument.values:
            yield from parts_of(each)
    elif isinstance(argument, ast.Call) and is_taking(argument.func) and isinstance(argument.func, ast.Attribute):
        yield from parts_of(argument.func.value)
    else:
        yield argument
