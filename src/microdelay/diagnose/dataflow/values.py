"""How a call binds its arguments, what a value has inside, what a loop goes over: small questions to the source."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from microdelay.diagnose.dataflow.callees import Reads, called
from microdelay.diagnose.dataflow.names import HANDING_ON, PASSING_ON
from microdelay.diagnose.dataflow.source import Body, Module, names_read, parameters, without_await
from microdelay.diagnose.dataflow.taint import ANY_ITEM, Link, Mark, Path, path_of


@dataclass(frozen=True, slots=True)
class Left:
    """What the first call's functions leave behind: the answer, in a `parameter` or a shared variable of that name."""

    name: str
    rest: Path
    mark: Mark
    parameter: bool
    function: Body | None = None


@dataclass(frozen=True)
class Question:
    """Which call's answer is followed (`first`), which call may need it (`second`), and what is known of both.

    `also` are further expressions that give the first call's answer. `left` is what its functions leave behind,
    `reads` what the functions of the second read (None: it is a library's). With `later_turn` the second call is one
    that a later turn of a loop makes.
    """

    module: Module
    first: ast.expr
    second: ast.expr | None
    later_turn: bool = False
    left: Sequence[Left] = ()
    reads: Reads | None = None
    also: frozenset[ast.AST] = frozenset()


def links_of(value: ast.AST | None) -> frozenset[Link]:
    """Give what a value may have inside, or be another name of."""
    if value is None:
        return frozenset()
    value = without_await(value) if isinstance(value, ast.expr) else value
    path = path_of(value)
    if path is not None:
        return frozenset({Link(path, True)})
    if isinstance(value, (ast.JoinedStr, ast.Compare, ast.Constant, ast.BinOp)):
        return frozenset()
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        inner = path_of(value.func.value)
        if inner is not None and value.func.attr in ("get", "setdefault", "pop"):
            return frozenset({Link((*inner, ANY_ITEM), True)})
    if isinstance(value, ast.Call) and called(value) in {"len", "str", "int", "float", "sum", "repr", "bool"}:
        return frozenset()
    return frozenset(Link((name,), False) for name in names_read(value))


def elements_of(node: ast.AST) -> list[Path]:
    """Give the paths whose elements a loop goes over, through `enumerate`, `zip`, `.items()` and the like."""
    path = path_of(node)
    if path is not None:
        return [path]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in PASSING_ON:
        found = [elements_of(each) for each in node.args]
        return [path for each in found for path in each] if all(found) and not node.keywords else []
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("items", "values"):
        return elements_of(node.func.value)
    return []


def given_as(call: ast.AST, left: Left) -> list[Path]:
    """Give the paths of the arguments that may have been given as the parameter in which the answer was left.

    A call that runs others (`gather`) gives them to those of its arguments that call the function.
    """
    if not isinstance(call, ast.Call) or left.function is None:
        return []
    call = _handed_on(call)
    inner = [each for each in ast.walk(call) if isinstance(each, ast.Call) and each is not call]
    name = getattr(left.function, "name", "")
    if not inner or called(call) == name:
        return _given(call, left, left.function)
    found = [path for each in inner if called(each) == name for path in _given(each, left, left.function)]
    return found or [*_given(call, left, left.function), *((each,) for each in sorted(names_read(call)))]


def _handed_on(call: ast.Call) -> ast.Call:
    """Give the call that is made in another thread, in place of the one that hands it over."""
    at = HANDING_ON.get(called(call), -1)
    if at < 0 or len(call.args) <= at:
        return call
    function, given = call.args[at], call.args[at + 1 :]
    if isinstance(function, ast.Call) and called(function) == "partial":
        part = _handed_on(function)
        return ast.Call(part.func, [*part.args, *given], [*part.keywords, *call.keywords])
    return ast.Call(function, given, call.keywords)


def _given(call: ast.Call, left: Left, function: Body) -> list[Path]:
    names = parameters(function)
    method = isinstance(call.func, ast.Attribute) and bool(names) and names[0] in ("self", "cls")
    given: dict[str, ast.expr] = dict(zip(names[1:] if method else names, call.args, strict=False))
    if method and isinstance(call.func, ast.Attribute):
        given[names[0]] = call.func.value
    given |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    found = given.get(left.name)
    if found is not None:
        path = path_of(found)
        return [path] if path else [(name,) for name in sorted(names_read(found))]
    starred = any(isinstance(each, ast.Starred) for each in call.args) or any(k.arg is None for k in call.keywords)
    return (
        [(name,) for each in (*call.args, *(k.value for k in call.keywords)) for name in names_read(each)]
        if starred
        else []
    )
