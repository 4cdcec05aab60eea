"""What carries an answer at one point of a function: marks on variables, on parts of objects, and on the way here."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

CLEAN_LEVEL: Final = 0
MAYBE: Final = 1
CARRIES: Final = 2

ANY_ITEM: Final = "[?]"
"""A part of an object that the source does not name: an element, or an attribute where its own method put it there."""

Key = TypeVar("Key")

Path = tuple[str, ...]
"""A variable and what is looked up in it: `self.data["id"]` is ("self", ".data", "['id']")."""

Control = tuple[str, int]
"""How far a decision reaches: ("function", 0), or ("loop" | "turn" | "later", number of the loop)."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How sure it is that something holds the answer, what it is called, and the line where it got there.

    `why` is the sentence for a decision: `{call}` in it stands for the line of the call that it decides about.
    """

    level: int
    name: str = ""
    line: int = 0
    why: str = ""


CLEAN: Final = Mark(CLEAN_LEVEL)


def strongest(marks: Iterable[Mark]) -> Mark:
    """Give the surest of marks, the first of equals."""
    return max(marks, key=lambda mark: mark.level, default=CLEAN)


def path_of(node: ast.AST) -> Path | None:
    """Give the path that an expression names, None where it is not a name or a part of one."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        base = path_of(node.value)
        if node.attr == "__class__":  # what a class has, its objects have too
            return base
        if node.attr == "__dict__":  # its items are the object's attributes
            return (*base, ANY_ITEM) if base else None
        return (*base, f".{node.attr}") if base else None
    if isinstance(node, ast.Subscript):
        base = path_of(node.value)
        key = f"[{node.slice.value!r}]" if isinstance(node.slice, ast.Constant) else ANY_ITEM
        return (*base, key) if base else None
    return None


def shown(path: Path) -> str:
    """Give a path as it stands in the source."""
    return "".join(part for part in path if part != ANY_ITEM)


def overlap(one: Path, other: Path) -> bool:
    """Tell whether one path is, or may be, the other or a part of it."""
    return all(a == b or ANY_ITEM in (a, b) for a, b in zip(one, other, strict=False))


@dataclass(frozen=True, slots=True)
class Link:
    """A name holds the object at `source`: is that very object (`alias`), or has it inside."""

    source: Path
    alias: bool


@dataclass(slots=True)
class State:
    """What is known at one point.

    `active` says that the first call may have been made on the way here, `turned` that a loop around both calls came to
    its next turn since.
    """

    held: dict[Path, Mark] = field(default_factory=dict)
    links: dict[str, frozenset[Link]] = field(default_factory=dict)
    functions: dict[str, frozenset[ast.AST]] = field(default_factory=dict)
    controls: dict[Control, Mark] = field(default_factory=dict)
    active: bool = False
    turned: bool = False

    def copy(self) -> State:
        """Give a state that changes on its own."""
        copied = dict(self.held), dict(self.links), dict(self.functions), dict(self.controls)
        return State(*copied, self.active, self.turned)

    def same(self, other: State) -> bool:
        """Tell whether two states mark the same things as surely."""
        return (
            (self.active, self.turned) == (other.active, other.turned)
            and _levels(self.held) == _levels(other.held)
            and _levels(self.controls) == _levels(other.controls)
            and (self.links, self.functions) == (other.links, other.functions)
        )

    def read(self, path: Path) -> Mark:
        """Give the mark of what is at a path: its own, that of what it is a part of, or of a part of it."""
        return strongest(mark for held, mark in self.held.items() if overlap(path, held))

    def parts(self, path: Path) -> Iterator[tuple[Path, Mark]]:
        """Give the marks on parts of what is at a path, each with the path from there; the whole itself is ()."""
        for held, mark in self.held.items():
            if overlap(path, held):
                yield held[len(path) :], mark

    def bind(self, name: str, mark: Mark, links: frozenset[Link] = frozenset()) -> None:
        """Give a name a new value."""
        for path in [path for path in self.held if path[0] == name]:
            del self.held[path]
        self.functions.pop(name, None)
        self.links.pop(name, None)
        if links:
            self.links[name] = frozenset(link for link in links if link.source[0] != name)
        if mark.level:
            self.held[name,] = replace(mark, name=mark.name or name)

    def clear(self, path: Path) -> None:
        """Note that a part of an object was given a value that has nothing of the answer."""
        if ANY_ITEM not in path:
            for held in [held for held in self.held if held[: len(path)] == path]:
                del self.held[held]

    def change(self, path: Path, mark: Mark) -> None:
        """Note that the object at a path took something in; whatever is or holds that object has it too."""
        waiting, seen = [path], {path}
        while waiting:
            at = waiting.pop()
            known = self.held.get(at, CLEAN)
            if mark.level > known.level:
                self.held[at] = replace(mark, name=shown(path))
            for other in self._holding(at):
                if other not in seen and len(other) <= len(path) + 3:
                    seen.add(other)
                    waiting.append(other)

    def _holding(self, path: Path) -> Iterator[Path]:
        for name, links in self.links.items():
            for link in links:
                if link.alias and path[0] == name:
                    yield (*link.source, *path[1:])
                elif overlap(link.source, path):
                    rest = path[len(link.source) :] if link.alias else ()
                    yield (name, *rest)


def joined(states: Iterable[State | None]) -> State | None:
    """Give what is known where several ways meet; None where none of them comes through."""
    met: State | None = None
    for state in states:
        if state is None:
            continue
        if met is None:
            met = state.copy()
            continue
        met.active |= state.active
        met.turned |= state.turned
        _join(met.held, state.held)
        _join(met.controls, state.controls)
        for name, functions in state.functions.items():
            met.functions[name] = met.functions.get(name, frozenset()) | functions
        for name, links in state.links.items():
            met.links[name] = met.links.get(name, frozenset()) | links
    return met


def _join(met: dict[Key, Mark], more: dict[Key, Mark]) -> None:
    for key, mark in more.items():
        if mark.level > met.get(key, CLEAN).level:
            met[key] = mark


def _levels(marks: dict[Key, Mark]) -> dict[Key, int]:
    return {key: mark.level for key, mark in marks.items()}
