"""The code that a finding proposes, written from the code that stands there."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence

from microdelay.diagnose.dataflow.source import (
    COMPREHENSIONS,
    FUNCTIONS,
    Function,
    Module,
    module,
    names_bound,
    names_read,
    without_await,
)
from microdelay.spans import Place

IMPORT = "from microdelay import fan_out"

CACHED = "from microdelay import cached\n\n@cached(ttl=60)  # seconds for which an answer may be old\n"

MAX_STATEMENT = 400
"""Characters of a statement that a snippet quotes."""


def fan_out(sites: Sequence[Place]) -> str:
    """Give the calls at `sites`, which stand in one function, as one `fan_out`."""
    parsed = module(sites[0].file)
    nodes = [node for site in sites if parsed and (node := parsed.expression(site)) is not None]
    if parsed is None or len(nodes) < len(sites):
        return f"{IMPORT}\n\nfirst, second = fan_out([first_call, second_call])"
    if any(isinstance(parsed.parents[node], ast.withitem) for node in nodes):
        return _of_with_blocks(len(nodes))
    nodes = [_awaited(parsed, node) for node in nodes]
    calls: list[str] = []
    targets: list[str] = []
    rest: list[str] = []
    awaits = any(isinstance(node, ast.Await) for node in nodes)
    for node in (_with_what_follows(parsed, each) for each in nodes):
        loop = _loop(parsed, node)
        if loop is not None and not all(loop in parsed.ancestors(each) for each in nodes):
            calls.append(f"lambda: {_over(node, loop)}" if not isinstance(node, ast.Await) else _over(node, loop))
            targets.append(f"answers_{len(targets) + 1}")
            continue
        inner = _joined_already(node)
        calls += [ast.unparse(each) for each in inner] or [_deferred(node)]
        bound = _targets(parsed, node, len(targets))
        if not inner and bound[0].startswith("answer_"):
            rest += _rest_of_statement(parsed, node, bound[0])
        if inner and isinstance(parsed.statement(node), ast.Assign) and bound[0].startswith("answer_"):
            rest += _rest_of_statement(parsed, node, f"[{', '.join(bound)}]")
        targets += bound
    listed = "".join(f"    {call},\n" for call in calls)
    joined = f"{', '.join(targets)} = {'await ' * awaits}fan_out([\n{listed}])"
    return "\n".join([f"{IMPORT}\n\n{_after(parsed, nodes)}{joined}", *rest])


def fan_out_loop(site: Place) -> str:
    """Give the call at `site`, which a loop repeats, as one `fan_out` over what the loop goes over."""
    parsed = module(site.file)
    node = parsed.expression(site) if parsed else None
    loop = _loop(parsed, node) if parsed and node is not None else None
    if parsed is None or node is None or loop is None:
        return f"{IMPORT}\n\nanswers = fan_out([lambda item=item: call(item) for item in items])"
    if isinstance(parsed.parents[node], ast.withitem) or _made_in_turn(parsed, node, loop):
        return fan_out_turns(site)
    wait = "await " if isinstance(node, ast.Await) else ""
    return f"{IMPORT}\n\nanswers = {wait}{_over(_with_what_follows(parsed, node), loop)}"


def _over(node: ast.expr, loop: ast.AST) -> str:
    """Give a call for each item of its loop as one `fan_out`."""
    item, over = _head(loop)
    if isinstance(node, ast.Await):
        return f"fan_out([{ast.unparse(node.value)} for {item} in {over}])"
    bound = ", ".join(f"{name}={name}" for name in sorted(names_bound(ast.parse(item, mode="eval").body)))
    return f"fan_out([lambda {bound}: {ast.unparse(node)} for {item} in {over}])"


def fan_out_turns(site: Place) -> str:
    """Give the loop around `site` with its body as a function, run for all items together."""
    parsed = module(site.file)
    node = parsed.expression(site) if parsed else None
    loop = _loop(parsed, node) if parsed and node is not None else None
    if parsed is None or node is None or loop is None:
        return f"{IMPORT}\n\nanswers = fan_out([partial(one_turn, item) for item in items])"
    item, over = _head(loop)
    scope = parsed.scope(node)
    body = f"    ...  # what the loop of line {loop_line(site)} does in one turn; return what it adds"
    names = ", ".join(sorted(names_bound(ast.parse(item, mode="eval").body)))
    if isinstance(scope, ast.AsyncFunctionDef):
        return (
            f"{IMPORT}\n\nasync def one_turn({names}):\n{body}\n\n"
            f"answers = await fan_out([one_turn({names}) for {item} in {over}])"
        )
    return (
        f"from functools import partial\n\n{IMPORT}\n\ndef one_turn({names}):\n{body}\n\n"
        f"answers = fan_out([partial(one_turn, {names}) for {item} in {over}])"
    )


def cached(function: str, file: str, line: int) -> str:
    """Give the function that makes the call with `@cached` on it."""
    parsed = module(file)
    node = parsed.function(function, line) if parsed else None
    if parsed is None or not isinstance(node, Function):
        return f"{CACHED}def call():\n    ..."
    head = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    return f"{CACHED}{head} {node.name}({ast.unparse(node.args)}):\n    ...  # as it is"


def cached_call(site: Place) -> str:
    """Give the call at `site`, which stands in a function that does more, in a cached function of its own."""
    parsed = module(site.file)
    node = parsed.expression(site) if parsed else None
    if parsed is None or node is None or isinstance(parsed.parents[node], ast.withitem):
        return f"# the request in a function of its own, with\n{CACHED}def call():\n    ..."
    head = "async def" if isinstance(parsed.scope(node), ast.AsyncFunctionDef) else "def"
    return f"{CACHED}{head} call():\n    return {ast.unparse(node)}"


def to_thread(site: Place) -> str:
    """Give the statement at `site` with its call moved off the event loop."""
    parsed = module(site.file)
    node = parsed.expression(site) if parsed else None
    if parsed is None or not isinstance(node, ast.Call):
        return "await asyncio.to_thread(blocking_call, argument)"
    moved = _to_thread(node)
    if not isinstance(parsed.scope(node), ast.AsyncFunctionDef):
        name = getattr(parsed.scope(node), "name", "the function")
        return f"# in the coroutine that calls it:\nawait asyncio.to_thread({name}, ...)"
    statement = parsed.statement(node)
    if isinstance(statement, (ast.Assign, ast.Expr, ast.Return, ast.AnnAssign)):
        text = ast.unparse(_replaced(statement, node, moved))
        return text if len(text) <= MAX_STATEMENT else ast.unparse(moved)
    return ast.unparse(moved)


def quoted(site: Place) -> str:
    """Give the expression at `site` as it stands there; "" where the source is not known, or it is long."""
    parsed = module(site.file)
    node = parsed.expression(site) if parsed else None
    text = ast.unparse(node) if isinstance(node, ast.Call) else ""
    return text if len(text) <= MAX_STATEMENT else ""


def through_client(site: Place, library: str, client: str) -> str:
    """Give the call `library.get(…)` at `site` as `client.get(…)`; "" where it is another call."""
    parsed = module(site.file)
    node = parsed.expression(site) if parsed else None
    for call in ast.walk(node) if node is not None else ():
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            receiver = call.func.value
            if isinstance(receiver, ast.Name) and receiver.id == library:
                changed = copy.deepcopy(call)
                assert isinstance(changed.func, ast.Attribute)
                changed.func.value = ast.Name(client, ast.Load())
                return ast.unparse(changed)
    return ""


def _to_thread(node: ast.Call) -> ast.Await:
    function = ast.Attribute(ast.Name("asyncio", ast.Load()), "to_thread", ast.Load())
    return ast.Await(ast.Call(function, [node.func, *node.args], node.keywords))


def _replaced(statement: ast.stmt, node: ast.expr, by: ast.expr) -> ast.stmt:
    class Replacing(ast.NodeTransformer):
        def visit(self, each: ast.AST) -> ast.AST:
            if isinstance(each, type(node)) and ast.dump(each) == wanted:
                return by
            return self.generic_visit(each)

    wanted = ast.dump(node)
    changed = Replacing().visit(copy.deepcopy(statement))
    assert isinstance(changed, ast.stmt)
    return ast.fix_missing_locations(changed)


def _of_with_blocks(number: int) -> str:
    listed = ", ".join(f"one_{each}()" for each in range(1, number + 1))
    return f"{IMPORT}\n\n# each `async with` block in a coroutine function of its own, then\nawait fan_out([{listed}])"


def _with_what_follows(parsed: Module, node: ast.expr) -> ast.expr:
    """Give a call with what is taken from its answer right there: `get(url)` with `.json()["next"]`."""
    if isinstance(node, ast.Await):
        return node
    while True:
        parent = parsed.parents.get(node)
        taken = isinstance(parent, (ast.Attribute, ast.Subscript)) and parent.value is node
        called = isinstance(parent, ast.Call) and parent.func is node
        if not (taken or called):
            return node
        assert isinstance(parent, ast.expr)
        node = parent


def _rest_of_statement(parsed: Module, node: ast.expr, answer: str) -> list[str]:
    """Give the statement around a call with the answer in the call's place."""
    statement = parsed.statement(node)
    if not isinstance(statement, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Expr)) or node is _value_of(statement):
        return []
    text = ast.unparse(_replaced(statement, node, ast.Name(answer, ast.Load())))
    return [text] if len(text) <= MAX_STATEMENT else []


def _value_of(statement: ast.stmt) -> ast.expr | None:
    return statement.value if isinstance(statement, ast.Expr) else None


def _deferred(node: ast.expr) -> str:
    """Give a call as `fan_out` takes it: a coroutine, a function without arguments, or a lambda."""
    if isinstance(node, ast.Await):
        return ast.unparse(node.value)
    plain = isinstance(node, ast.Call) and not any(isinstance(each, ast.Call) for each in ast.walk(node.func))
    if isinstance(node, ast.Call) and plain and not node.args and not node.keywords:
        return ast.unparse(node.func)
    return f"lambda: {ast.unparse(node)}"


def _awaited(parsed: Module, node: ast.expr) -> ast.expr:
    """Give the `await` of a call that is awaited where it stands."""
    around = parsed.parents[node]
    return around if isinstance(around, ast.Await) else node


def _joined_already(node: ast.expr) -> list[ast.expr]:
    """Give the calls that a `fan_out([…])` or `gather(…)` at this place joins already."""
    call = without_await(node)
    name = ast.unparse(call.func).rpartition(".")[2] if isinstance(call, ast.Call) else ""
    if not isinstance(call, ast.Call) or name not in ("fan_out", "gather"):
        return []
    listed = call.args[0] if name == "fan_out" and call.args else None
    found = listed.elts if isinstance(listed, (ast.List, ast.Tuple)) else call.args if name == "gather" else []
    return [] if any(isinstance(each, ast.Starred) for each in found) else list(found)


def _targets(parsed: Module, node: ast.expr, number: int) -> list[str]:
    """Give the names that a call's answer is bound to, where the statement does nothing else."""
    statement = parsed.statement(node)
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and statement.value is node:
        target = statement.targets[0]
        several = _joined_already(node)
        if isinstance(target, ast.Tuple) and len(several) == len(target.elts):
            return [ast.unparse(each) for each in target.elts]
        if not several:
            return [ast.unparse(target)]
    return [f"answer_{number + each + 1}" for each in range(max(1, len(_joined_already(node))))]


def _after(parsed: Module, nodes: Sequence[ast.expr]) -> str:
    """Say after which line the `fan_out` has to stand, where a later call reads what is made between the calls."""
    first, last = parsed.statement(nodes[0]), parsed.statement(nodes[-1])
    read: set[str] = set()
    for node in nodes[1:]:
        loop = _loop(parsed, node)
        own = names_bound(loop.target) if isinstance(loop, (ast.For, ast.AsyncFor)) else set()
        around_all = loop is not None and loop in parsed.ancestors(nodes[0])
        read |= names_read(node) - (set() if around_all else own)
    line = 0
    for each in ast.walk(parsed.scope(nodes[0])):
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store) and each.id in read:
            line = max(line, each.lineno) if first.lineno < each.lineno < last.lineno else line
    return f"# after line {line}, where all arguments are known\n" if line else ""


def _made_in_turn(parsed: Module, node: ast.expr, loop: ast.AST) -> bool:
    """Tell whether a call reads what its loop's body makes before it."""
    if not isinstance(loop, (ast.For, ast.AsyncFor, ast.While)):
        return False
    made: set[str] = set()
    for statement in loop.body:
        made |= {
            each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
        }
    return bool(made & names_read(node)) or isinstance(loop, ast.While)


def _loop(parsed: Module, node: ast.expr) -> ast.AST | None:
    for around in parsed.ancestors(node):
        if isinstance(around, (ast.For, ast.AsyncFor, ast.While, *COMPREHENSIONS)):
            return around
        if isinstance(around, FUNCTIONS):
            return None
    return None


def _head(loop: ast.AST) -> tuple[str, str]:
    """Give what a loop binds and what it goes over."""
    if isinstance(loop, (ast.For, ast.AsyncFor)):
        return ast.unparse(loop.target), ast.unparse(loop.iter)
    if isinstance(loop, COMPREHENSIONS):
        return ast.unparse(loop.generators[0].target), ast.unparse(loop.generators[0].iter)
    return "item", "items"


def loop_line(site: Place) -> int:
    """Give the line of the loop around a place, 0 where there is none in its function."""
    parsed = module(site.file)
    node = parsed.expression(site) if parsed else None
    loop = _loop(parsed, node) if parsed and node is not None else None
    return int(getattr(loop, "lineno", 0))
