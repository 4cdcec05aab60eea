"""What a program uses of the value of a call, read from the source of the function that makes it."""

from __future__ import annotations

import ast

from microdelay.diagnose.dataflow.source import Module

Path = tuple[str, ...]
"""Steps from a value to what is used of it: `.json()`, `['rows']`, `len`, `?` (a test); `*` where it is passed on."""

_TESTS = (ast.If, ast.While, ast.Assert, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.IfExp)


def uses(module: Module, node: ast.AST, steps: Path = ()) -> set[Path]:
    """Give all that is used of the value of `node` in its function; `("*",)` at the end of what leaves it."""
    parent = module.parents.get(node)
    if isinstance(parent, ast.Await):
        return uses(module, parent, steps)
    if isinstance(parent, ast.Attribute):
        called = module.parents.get(parent)
        if isinstance(called, ast.Call) and called.func is parent:
            return uses(module, called, (*steps, f".{parent.attr}()"))
        return uses(module, parent, (*steps, f".{parent.attr}"))
    if isinstance(parent, ast.Subscript) and parent.value is node:
        constant = isinstance(parent.slice, ast.Constant)
        return uses(module, parent, (*steps, f"[{ast.unparse(parent.slice)}]")) if constant else {(*steps, "*")}
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id == "len":
        return {(*steps, "len")}
    if isinstance(parent, ast.Expr):
        return {steps}
    if isinstance(parent, _TESTS):
        return {(*steps, "?")}
    if isinstance(parent, ast.Assign) and parent.value is node and len(parent.targets) == 1:
        return _of_name(module, parent.targets[0], steps)
    return {(*steps, "*")}


def _of_name(module: Module, target: ast.expr, steps: Path) -> set[Path]:
    if not isinstance(target, ast.Name):
        return {(*steps, "*")}
    scope = module.scope(target)
    names = [each for each in ast.walk(scope) if isinstance(each, ast.Name) and each.id == target.id]
    if sum(isinstance(each.ctx, ast.Store) for each in names) > 1 or isinstance(scope, ast.Module):
        return {(*steps, "*")}
    found: set[Path] = {steps}
    for each in names:
        if isinstance(each.ctx, ast.Load):
            found |= uses(module, each, steps)
    return found
