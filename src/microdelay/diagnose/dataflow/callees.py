"""What the functions of a module may read and change, followed through the calls that its source names."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from microdelay.diagnose.dataflow.names import (
    ADDING,
    BUILTINS,
    BY_NAME,
    CALLING,
    CHECKING,
    FILES,
    LOGGING,
    OPENING,
    READING,
    TAKING_OUT,
    WELL_KNOWN,
)
from microdelay.diagnose.dataflow.source import (
    Body,
    Module,
    names_bound,
    parameters,
    root_name,
    without_await,
)
from microdelay.diagnose.dataflow.taint import ANY_ITEM, Path, path_of


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
        elif isinstance(node, ast.Call) and called(node) in OPENING:
            free.add(FILES)
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

    So is what they take the next one of. What is written only where it was found missing (a client made on first use)
    does not count.
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
            elif isinstance(node, ast.Call) and (name := _taken_from(node, bound | set(parameters(body)))):
                pass
            else:
                continue
            if not _made_on_first_use(module, node, name):
                found.append(Write(name, node.lineno))
    return found


def _taken_from(node: ast.Call, own: Collection[str]) -> str:
    """Give the name of something shared from which a call takes the next one: `next(self.numbers)`, `free.pop()`."""
    is_next = isinstance(node.func, ast.Name) and node.func.id == "next" and bool(node.args)
    source: ast.expr | None = node.args[0] if is_next else None
    if isinstance(node.func, ast.Attribute) and node.func.attr in TAKING_OUT:
        source = node.func.value
    if isinstance(source, ast.Attribute):
        return source.attr if path_of(source) and not names_bound(source) & (set(own) - {"self", "cls"}) else ""
    return source.id if isinstance(source, ast.Name) and source.id not in own else ""


def _made_on_first_use(module: Module, node: ast.AST, name: str) -> bool:
    for around in module.ancestors(node):
        if isinstance(around, ast.If) and any(
            (isinstance(each, ast.Attribute) and each.attr == name) or (isinstance(each, ast.Name) and each.id == name)
            for each in ast.walk(around.test)
        ):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Effects:
    """What a function writes besides its parameters: paths of shared variables, and of `self` in a method.

    `own` is written by the function itself, `reached` by those that it calls; with `anything` it cannot be told.
    """

    own: frozenset[Path]
    reached: frozenset[Path]
    anything: bool


@lru_cache(4096)
def effects_of(module: Module, body: Body) -> Effects:
    """Give what a function writes besides its parameters, with all functions of its module that it mentions."""
    own, anything = _written(module, body)
    reached: set[Path] = set()
    waiting: list[tuple[Body, bool]] = [(body, True)]
    seen: set[tuple[ast.AST, bool]] = {(body, True)}
    while waiting:
        at, same_self = waiting.pop()
        paths, dynamic = _written(module, at)
        reached |= {path for path in paths if same_self or path[0] not in ("self", "cls")}
        anything |= dynamic
        for name, of_self in _mentioned(at):
            for function in module.functions.get(name, ()):
                after = function, same_self and of_self
                if after not in seen:
                    seen.add(after)
                    waiting.append(after)
    return Effects(own, frozenset(reached) - own, anything)


def _mentioned(body: Body) -> Iterator[tuple[str, bool]]:
    """Give the names by which a function may mean another one, and whether each is looked up in `self`."""
    for node in ast.walk(body):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id, False
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr, isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


@lru_cache(4096)
def _written(module: Module, body: Body) -> tuple[frozenset[Path], bool]:
    """Give the shared paths that a function's own source writes, and whether it writes what it does not name."""
    given = set(parameters(body)) - {"self", "cls"}
    found: set[Path] = set()
    anything = False
    shared = {name for node in ast.walk(body) if isinstance(node, (ast.Global, ast.Nonlocal)) for name in node.names}
    inner = local_names(body) - {"self", "cls"}
    roots = _aliases(body)

    def note(node: ast.AST, item: bool = False) -> None:
        name = root_name(node)
        if name not in inner:
            path = path_of(node) or ((name,) if name else None)
            if path:
                found.add((*path, ANY_ITEM) if item else path)
            return
        found.update((each,) for each in roots.get(name, ()) if each not in inner and each not in given)

    for node in ast.walk(body):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load) and node.id in shared:
            found.add((node.id,))
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            if node.attr in ADDING:
                note(node.value, item=True)
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            note(node)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            note(node.target)
        elif isinstance(node, ast.Call):
            anything |= isinstance(node.func, ast.Name) and node.func.id in BY_NAME
            for each in _may_take(module, node):
                note(each)
    found.update(_defaults_changed(module, body))
    return frozenset(found), anything


def _defaults_changed(module: Module, body: Body) -> Iterator[Path]:
    """Give the function itself where it keeps something in a default of its own: `def note(x, seen=[])`."""
    if isinstance(body, ast.Lambda):
        return
    spec = body.args
    named = [*spec.posonlyargs, *spec.args]
    pairs = [*zip(named[len(named) - len(spec.defaults) :], spec.defaults, strict=True)]
    pairs += [(each, value) for each, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if value is not None]
    for parameter, default in pairs:
        if isinstance(default, (ast.List, ast.Dict, ast.Set)) and changes(module, body, parameter.arg):
            yield (body.name,)


def _may_take(module: Module, node: ast.Call) -> Iterator[ast.expr]:
    """Give the objects that a call may put something into: the one whose method it is, and its arguments."""
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    name, dropped = called(node), is_dropped(module, node)
    if isinstance(node.func, ast.Attribute) and (arguments or dropped):
        imported = root_name(node.func.value) in module.imported
        yield from [node.func.value] if may_take(module, node, imported) else []
    functions = module.functions.get(name, ())
    if functions or not (len(arguments) < 2 or changes_nothing(name)):
        for number, argument in enumerate(arguments):
            if path_of(argument) is None or (isinstance(argument, ast.Name) and argument.id in BUILTINS):
                continue
            if not functions or any(may_change(module, each, node, number) for each in functions):
                yield argument
    if name in CALLING:
        yield from (each.value for each in arguments if isinstance(each, ast.Attribute) and is_taking(each))


def is_taking(node: ast.AST) -> bool:
    """Tell whether a node names a method by which an object may take something in."""
    return isinstance(node, ast.Attribute) and (
        node.attr in ADDING or not (READING.search(node.attr) or node.attr in LOGGING)
    )


def may_take(module: Module, node: ast.Call, imported: bool) -> bool:
    """Tell whether the object whose method is called may keep what it is given.

    One whose answer is dropped is called for that; one of this module says it in its source.
    """
    name, dropped = called(node), is_dropped(module, node)
    if name in ADDING:
        return True
    if name in LOGGING or name in CHECKING or (name in WELL_KNOWN and imported):
        return False
    methods = [each for each in module.functions.get(name, ()) if module.is_method(each)]
    if any(changes(module, each, "self") for each in methods):
        return True
    reading = bool(READING.search(name))
    return (dropped and not (imported and reading)) or (not reading and not imported)


@lru_cache(4096)
def _aliases(body: Body) -> dict[str, set[str]]:
    """Give for each local name the names whose objects it may be, or be a part of."""
    roots: dict[str, set[str]] = {}
    for targets, value in bindings(body):
        found = _roots(value)
        for target in targets:
            for each in ast.walk(target):
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                    roots.setdefault(each.id, set()).update(found)
    grown = True
    while grown:
        grown = False
        for name, known in roots.items():
            more = set().union(*(roots.get(each, ()) for each in known)) - known
            grown |= bool(more)
            roots[name] |= more
    return roots


def bindings(body: Body) -> Iterator[tuple[list[ast.expr], ast.expr]]:
    """Give what a function binds, each time with the expression that it is, is a part of, or is an element of."""
    for node in ast.walk(body):
        if isinstance(node, ast.Assign):
            yield node.targets, node.value
        elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            yield [node.target], node.value
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            yield [node.target], node.iter
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield [node.optional_vars], node.context_expr


def _roots(value: ast.expr) -> set[str]:
    """Give the names whose objects an expression may give, or a part of them."""
    value = without_await(value)
    if isinstance(value, (ast.IfExp, ast.BoolOp, ast.Tuple, ast.List, ast.NamedExpr)):
        return set().union(*(_roots(each) for each in ast.iter_child_nodes(value) if isinstance(each, ast.expr)))
    name = root_name(value)
    return {name} if name and not (isinstance(value, ast.Call) and makes_anew(called(value))) else set()


def makes_anew(name: str) -> bool:
    """Tell whether a function gives an object of its own: a builtin, a constructor, a copy."""
    return name in BUILTINS or name in WELL_KNOWN - {"get", "values", "items"} or name[:1].isupper()


@lru_cache(4096)
def changes(module: Module, body: Body, parameter: str) -> bool:
    """Tell whether a function may change or keep what it is given as `parameter`, also by the functions it calls."""
    return _changes(module, body, parameter, set())


def _changes(module: Module, body: Body, parameter: str, seen: set[tuple[ast.AST, str]]) -> bool:
    if (body, parameter) in seen:
        return False
    seen.add((body, parameter))
    own = {parameter} | {name for name, roots in _aliases(body).items() if parameter in roots}
    for node in ast.walk(body):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            if names_bound(node) & own:
                return True
        elif isinstance(node, ast.Attribute) and node.attr in ADDING:
            if root_name(node.value) in own:
                return True
        elif isinstance(node, ast.Call):
            if _call_changes(module, node, own, seen):
                return True
        elif (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Name)
            and node.value.id in own
            and not all(isinstance(target, ast.Name) for target in node.targets)
        ):
            return True
    return False


def _call_changes(module: Module, node: ast.Call, own: set[str], seen: set[tuple[ast.AST, str]]) -> bool:
    name, functions = called(node), module.functions.get(called(node), ())
    if isinstance(node.func, ast.Attribute) and root_name(node.func) in own:
        if name in LOGGING or name in CHECKING:
            return False
        if not functions and (not READING.search(name) or (is_dropped(module, node) and bool(node.args))):
            return True
        if any(parameters(each) and _changes(module, each, parameters(each)[0], seen) for each in functions):
            return True
    for number, argument in enumerate([*node.args, *(keyword.value for keyword in node.keywords)]):
        if not isinstance(argument, ast.Name) or argument.id not in own:
            continue
        if not functions and not keeps_nothing(name):
            return True
        for each in functions:
            given = parameter_of(each, node, number)
            if not given or _changes(module, each, given, seen):
                return True
    return False


def called(node: ast.Call) -> str:
    """Give the last part of the name of what is called."""
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def is_dropped(module: Module, node: ast.AST) -> bool:
    """Tell whether nothing is done with a call's answer."""
    parent = module.parents.get(node)
    while isinstance(parent, ast.Await):
        parent = module.parents.get(parent)
    return isinstance(parent, ast.Expr)


def may_change(module: Module, function: Body, call: ast.Call, number: int) -> bool:
    """Tell whether a function may change or keep what a call gives it as its `number`-th argument."""
    name = parameter_of(function, call, number)
    return not name or changes(module, function, name)


def parameter_of(function: Body, call: ast.Call, number: int) -> str:
    """Give the parameter that takes the `number`-th argument of a call, "" where that cannot be told."""
    known = parameters(function)
    if known and known[0] in ("self", "cls"):
        known = known[1:]
    if any(isinstance(each, ast.Starred) for each in call.args[: number + 1]):
        return ""
    if number < len(call.args):
        return known[number] if number < len(known) else ""
    name = call.keywords[number - len(call.args)].arg or ""
    return name if name in known else ""


@lru_cache(4096)
def hands_on(module: Module, body: Body, parameter: str) -> bool:
    """Tell whether a function uses a parameter in another way than looking up its attributes and its own methods."""
    for node in ast.walk(body):
        if isinstance(node, ast.Name) and node.id == parameter:
            part = module.parents[node]
            if not (isinstance(part, ast.Attribute) and part.value is node):
                return True
            call = module.parents[part]
            if isinstance(call, ast.Call) and call.func is part and part.attr not in module.functions:
                return True
    return False


def changes_nothing(name: str) -> bool:
    """Tell by its name whether a function changes none of its arguments: well known, or a constructor."""
    return name in BUILTINS or name in LOGGING or name in WELL_KNOWN or name[:1].isupper()


def keeps_nothing(name: str) -> bool:
    """Tell by its name whether a function keeps nothing of what it is given: a builtin, a reader, a constructor."""
    return name in BUILTINS or name in LOGGING or bool(READING.search(name)) or name[:1].isupper()
