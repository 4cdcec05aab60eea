"""The code that a finding proposes, written from the code that stands there."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from microdelay.diagnose.source import COMPREHENSIONS, Function, Module, module
from microdelay.spans import Place


def fan_out(sites: Sequence[Place]) -> str:
    """Give the calls at `sites`, which stand in one function, as one `fan_out`."""
    parsed = module(sites[0].file)
    nodes = [parsed.expression(site) for site in sites] if parsed else []
    if parsed is None or any(node is None for node in nodes):
        return "from microdelay import fan_out\n\nfirst, second = fan_out([first_call, second_call])"
    calls: list[str] = []
    targets: list[str] = []
    awaits = False
    for node in nodes:
        assert node is not None
        call, is_awaited = _call(parsed, node)
        awaits |= is_awaited
        calls.append(call if is_awaited else f"lambda: {call}")
        targets.append(_target(parsed, node) or f"answer_{len(targets) + 1}")
    wait = "await " if awaits else ""
    listed = "".join(f"    {call},\n" for call in calls)
    return f"from microdelay import fan_out\n\n{', '.join(targets)} = {wait}fan_out([\n{listed}])"


def fan_out_loop(site: Place) -> str:
    """Give the call at `site`, which a loop repeats, as one `fan_out` over what the loop goes over."""
    parsed = module(site.file)
    node = parsed.expression(site) if parsed else None
    if parsed is None or node is None:
        return "from microdelay import fan_out\n\nanswers = fan_out([lambda item=item: call(item) for item in items])"
    call, awaits = _call(parsed, node)
    item, over = _loop(parsed, node)
    wait, deferred = ("await ", call) if awaits else ("", f"lambda {item}={item}: {call}")
    if not item.isidentifier() and not awaits:
        deferred = f"partial(call, {item})"
    return f"from microdelay import fan_out\n\nanswers = {wait}fan_out([{deferred} for {item} in {over}])"


def cached(function: str, file: str, line: int) -> str:
    """Give the function that makes the call with `@cached` on it."""
    parsed = module(file)
    node = parsed.function(function, line) if parsed else None
    if parsed is None or not isinstance(node, Function):
        return "from microdelay import cached\n\n@cached(ttl=60)\ndef ..."
    head = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"from microdelay import cached\n\n@cached(ttl=60)\n{head} {node.name}({ast.unparse(node.args)}):"


def to_thread(site: Place) -> str:
    """Give the call at `site` moved off the event loop."""
    parsed = module(site.file)
    node = parsed.expression(site) if parsed else None
    if isinstance(node, ast.Call):
        arguments = [ast.unparse(each) for each in node.args]
        arguments += [f"{each.arg}={ast.unparse(each.value)}" if each.arg else f"**{ast.unparse(each.value)}"
                      for each in node.keywords]  # fmt: skip
        return f"await asyncio.to_thread({', '.join([ast.unparse(node.func), *arguments])})"
    return "await asyncio.to_thread(blocking_call, argument)"


def _call(parsed: Module, node: ast.expr) -> tuple[str, bool]:
    """Give the call's text, and whether it is awaited."""
    parent = parsed.parents.get(node)
    if isinstance(node, ast.Await):
        return ast.unparse(node.value), True
    return ast.unparse(node), isinstance(parent, ast.Await)


def _target(parsed: Module, node: ast.expr) -> str:
    statement = parsed.statement(node)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""


def _loop(parsed: Module, node: ast.expr) -> tuple[str, str]:
    for around in parsed.ancestors(node):
        if isinstance(around, (ast.For, ast.AsyncFor)):
            return ast.unparse(around.target), ast.unparse(around.iter)
        if isinstance(around, COMPREHENSIONS):
            return ast.unparse(around.generators[0].target), ast.unparse(around.generators[0].iter)
    return "item", "items"


def loop_line(site: Place) -> int:
    """Give the line of the loop around a place, 0 where there is none in its function."""
    parsed = module(site.file)
    node = parsed.expression(site) if parsed else None
    for around in parsed.ancestors(node) if parsed and node is not None else ():
        if isinstance(around, (ast.For, ast.AsyncFor, ast.While, *COMPREHENSIONS)):
            return int(around.lineno)
        if isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)):
            break
    return 0
