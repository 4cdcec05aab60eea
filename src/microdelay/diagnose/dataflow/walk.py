"""Follows an answer through the statements of one function: branches, loops, ways out, handlers."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from microdelay.diagnose.dataflow.apart import attempts, forbids, keeps_apart, on_purpose, raised
from microdelay.diagnose.dataflow.evaluate import Evaluator, Try, deciding
from microdelay.diagnose.dataflow.names import ENDLESS, EXITS, HARMLESS_TESTS, STOPPING
from microdelay.diagnose.dataflow.source import FUNCTIONS, LOOPS, Loop, names_read, without_await
from microdelay.diagnose.dataflow.taint import CARRIES, CLEAN, MAYBE, Control, Link, Mark, State, joined, strongest


@dataclass
class _LoopFrame:
    """A loop that is being followed: the states in which it is left, and in which its next turn is begun early.

    It stands in `tries` `try` statements; `decided` is what decided, as far as the answer did, that it was left.
    """

    number: int
    tries: int = 0
    decided: Mark = CLEAN
    left: list[State] = field(default_factory=list)
    continued: list[State] = field(default_factory=list)


@dataclass
class Walk(Evaluator):
    """Executes a function's statements on marks instead of values."""

    loops: list[_LoopFrame] = field(default_factory=list)
    returned: list[State] = field(default_factory=list)

    def function(self, body: ast.AST) -> State:
        """Follow a whole function, lambda or module; give what is known when it is left."""
        if isinstance(body, ast.Lambda):
            state = State()
            self.value(body.body, state)
            return state
        statements: list[ast.stmt] = getattr(body, "body", [])
        if self.second is not None:  # what stands behind the statement with the second call is of no matter
            around = {self.second, *self.module.ancestors(self.second)}
            until = next((number for number, each in enumerate(statements) if each in around), len(statements))
            statements = statements[: until + 1]
        return joined([self.block(statements, State()), *self.returned]) or State()

    def block(self, statements: Sequence[ast.stmt], state: State | None) -> State | None:
        """Follow statements; None if none of the ways through them comes to their end."""
        for statement in statements:
            if state is None:
                return None
            state = self.statement(statement, state)
            if self.tries and state is not None:
                for each in self.tries:
                    each.state = joined([each.state, state])
        return state

    def statement(self, node: ast.stmt, state: State) -> State | None:
        """Follow one statement."""
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            for each in ast.iter_child_nodes(node):
                if isinstance(each, ast.expr):
                    self.value(each, state)
            return state
        after: State | None = method(node, state)
        return after

    def _assign(self, node: ast.Assign, state: State) -> State:
        target = node.targets[0]
        if isinstance(node.value, ast.Tuple) and isinstance(target, ast.Tuple) and len(node.targets) == 1:
            values = node.value.elts
            if len(values) == len(target.elts) and not any(isinstance(e, ast.Starred) for e in (*values, *target.elts)):
                marks = [self.value(each, state) for each in values]
                for one, mark, value in zip(target.elts, marks, values, strict=True):
                    self.assign(one, mark, value, state)
                return state
        mark = self._flag(node.value, self.value(node.value, state))
        for target in node.targets:
            self.assign(target, mark, node.value, state)
        return state

    def _flag(self, value: ast.AST, mark: Mark) -> Mark:
        """A constant that is set in a `try` after the call tells later that the call did not fail."""
        if isinstance(value, ast.Constant) and self.tries and not mark.level:
            return self.tries[-1].mark
        return mark

    def _annassign(self, node: ast.AnnAssign, state: State) -> State:
        if node.value is not None:
            self.assign(node.target, self._flag(node.value, self.value(node.value, state)), node.value, state)
        return state

    def _augassign(self, node: ast.AugAssign, state: State) -> State:
        mark = self._flag(node.value, self.value(node.value, state))
        mark = strongest([mark, *self.conditions, *deciding(state)])
        if isinstance(node.target, ast.Name):
            if mark.level:
                state.change((node.target.id,), Mark(mark.level, node.target.id, node.lineno))
        elif mark.level:
            self.assign(node.target, mark, None, state)
        return state

    def _expr(self, node: ast.Expr, state: State) -> State | None:
        self.value(node.value, state)
        return None if _ends_all(node) else state

    def _return(self, node: ast.Return, state: State) -> None:
        self.value(node.value, state)
        for frame in self.loops:
            self._decide(frame, node, state)
        self.returned.append(state)

    def _raise(self, node: ast.Raise, state: State) -> None:
        self.value(node.exc, state)
        if self._stops(node):
            for frame in self.loops:
                self._decide(frame, node, state)

    def _break(self, node: ast.Break, state: State) -> None:
        self._decide(self.loops[-1], node, state)
        self.loops[-1].left.append(state)

    def _decide(self, frame: _LoopFrame, node: ast.stmt, state: State) -> None:
        """Note that a loop is left here, where that comes of an answer or of a call's success."""
        tried = [each.mark for each in self.tries[frame.tries :]]
        mark = strongest([*self.conditions, *state.controls.values(), *tried])
        if mark.level > frame.decided.level:
            why = f"line {node.lineno} ends the loop depending on what the call before answered"
            frame.decided = Mark(mark.level, mark.name, node.lineno, why)

    def _continue(self, node: ast.Continue, state: State) -> None:
        self.loops[-1].continued.append(state)

    def _delete(self, node: ast.Delete, state: State) -> State:
        for target in node.targets:
            self.assign(target, CLEAN, None, state)
        return state

    def _import(self, node: ast.Import, state: State) -> State:
        return state

    _importfrom = _global = _nonlocal = _pass = _import

    def _functiondef(self, node: ast.FunctionDef | ast.AsyncFunctionDef, state: State) -> State:
        heads = [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]
        mark = strongest([*(self.value(each, state) for each in heads), *self.conditions, *deciding(state)])
        state.bind(node.name, mark, frozenset(Link((name,), False) for name in names_read(node) - {node.name}))
        state.functions[node.name] = frozenset({node})
        made_of = self.scope.read_by(node, state)
        for each in node.decorator_list if made_of.level else ():  # it may keep the function, and who has it call it
            for name in names_read(each):
                state.change((name,), Mark(MAYBE, name, node.lineno))
        return state

    _asyncfunctiondef = _functiondef

    def _classdef(self, node: ast.ClassDef, state: State) -> State | None:
        return self.block(node.body, state)

    def _if(self, node: ast.If, state: State) -> State | None:
        test = self.decision(node.test, self.value(node.test, state), "whether the call in line {call}")
        # Where one side can only fail, the other is what goes on if all is well: an error guard decides nothing.
        guard = self._fails(node.body) or self._fails(node.orelse)
        self.conditions.append(CLEAN if guard else test)
        after = joined([self.block(node.body, state.copy()), self.block(node.orelse, state)])
        self.conditions.pop()
        return self._leaving(after, test, node.body, node.orelse)

    def _fails(self, block: Sequence[ast.stmt]) -> bool:
        """Tell whether a block can only end in an exception that says that something failed."""
        last = block[-1] if block else None
        return last is not None and ((isinstance(last, ast.Raise) and not self._stops(last)) or _ends_all(last))

    def _stops(self, node: ast.Raise) -> bool:
        """Tell whether an exception says that all is done or forbidden, rather than that something failed."""
        return bool(STOPPING.search(raised(node).rpartition(".")[2])) or forbids(self.module, node)

    def _leaving(
        self, after: State | None, test: Mark, *blocks: Sequence[ast.stmt], inner: bool = False
    ) -> State | None:
        """Note for what follows that leaving here depended on the answer; `inner` blocks are those of a loop."""
        if after is None or not test.level:
            return after
        for block in blocks:
            for key, line in self._ways_out(block, inner):
                name = f"`{test.name}`" if test.name else "the first answer"
                what = {"function": "the function goes on", "loop": "the loop goes on"}.get(key[0], "this turn goes on")
                mark = Mark(test.level, test.name, line, f"{name} decides in line {line} whether {what}")
                if mark.level > after.controls.get(key, CLEAN).level:
                    after.controls[key] = mark
        return after

    def _ways_out(self, block: Sequence[ast.stmt], inner: bool = False) -> Iterator[tuple[Control, int]]:
        """Give each way out of a block: out of the function, the loop around it, or this turn of the loop."""
        for node in block:
            if isinstance(node, ast.Return) or (isinstance(node, ast.Raise) and self._stops(node)):
                yield ("function", 0), node.lineno
            elif isinstance(node, (ast.Break, ast.Continue)) and not inner and self.loops:
                yield ("loop" if isinstance(node, ast.Break) else "turn", self.loops[-1].number), node.lineno
            elif not isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                for each in blocks(node):
                    yield from self._ways_out(each, inner or isinstance(node, LOOPS))

    def _while(self, node: ast.While, state: State) -> State | None:
        what = "how often the call in line {call}"
        frame = _LoopFrame(id(node), len(self.tries))
        endless = isinstance(node.test, ast.Constant)
        exits: list[State | None] = []
        for turn in self.turns(node, state):
            if turn and node in self.around_first and (endless or _looks_outside(node.test)):
                why = f"the loop in line {node.lineno} goes on until something changes that its source does not show"
                state.controls.setdefault(("loop", frame.number), Mark(MAYBE, "", 0, why))
            test = self.decision(node, self.value(node.test, state), what)
            if test.level:  # whether the condition is looked at once more depends on it too
                state.controls.setdefault(("loop", frame.number), test)
            exits += [] if endless else [state.copy()]
            if turn and self._settled(state, after := self._turn(node, frame, test, state)):
                break
            after = after if turn else self._turn(node, frame, test, state)
            state = joined([state, after]) or state
        after_all = self._after_loop(node, frame, [*exits, None if endless else state])
        return self._leaving(after_all, test, node.body, inner=True)

    def _for(self, node: ast.For | ast.AsyncFor, state: State) -> State | None:
        over = self.goes_over(node.iter, state)
        frame = _LoopFrame(id(node), len(self.tries))
        for turn in self.turns(node, state):
            if turn and node in self.around_first and _is_endless(node.iter):
                why = f"the loop in line {node.lineno} has no end of its own"
                state.controls.setdefault(("loop", frame.number), Mark(MAYBE, "", 0, why))
            mark = strongest([over, self.items(node.iter, state)])
            decided = self.decision(node, mark, "how often the call in line {call}")
            before = state.copy()
            self.bind_items(node.target, node.iter, mark, before)
            after = self._turn(node, frame, decided, before)
            if turn and self._settled(state, after):
                break
            state = joined([state, after]) or state
        return self._leaving(self._after_loop(node, frame, [state]), decided, node.body, inner=True)

    _asyncfor = _for

    def _settled(self, before: State, after: State | None) -> bool:
        met = joined([before, after])
        return met is not None and met.same(before)

    def _turn(self, node: Loop, frame: _LoopFrame, decided: Mark, state: State) -> State | None:
        self.loops.append(frame)
        self.conditions.append(decided)
        after = self.block(node.body, state.copy())
        self.conditions.pop()
        self.loops.pop()
        met = joined([after, *frame.continued])
        if met is None:
            return None
        met.turned |= met.active and node in self.around_both and self.later_turn
        late = strongest([met.controls.pop(("later", frame.number), CLEAN), frame.decided])
        if late.level > met.controls.get(("loop", frame.number), CLEAN).level:
            met.controls["loop", frame.number] = late
        met.controls.pop(("turn", frame.number), None)
        met.controls.pop(("guard", frame.number), None)
        return met

    def _after_loop(self, node: Loop, frame: _LoopFrame, states: Sequence[State | None]) -> State | None:
        ended = joined(states)
        after = joined([self.block(node.orelse, ended) if ended else None, *frame.left])
        if after is not None:
            for kind in ("loop", "turn", "later", "guard"):
                after.controls.pop((kind, frame.number), None)
        return after

    def _with(self, node: ast.With | ast.AsyncWith, state: State) -> State | None:
        quiet = False
        for item in node.items:
            mark = self.value(item.context_expr, state)
            text = ast.unparse(item.context_expr)
            quiet |= text.startswith(("suppress(", "contextlib.suppress("))
            if on_purpose(self.module, item.context_expr):
                self.keep_apart(state, f"`{text}` in line {node.lineno} keeps the calls apart on purpose", CARRIES)
            elif keeps_apart(self.module, item.context_expr):
                self.keep_apart(state, f"`{text}` in line {node.lineno} lets one call in after the other")
            elif attempts(self.module, node, item.context_expr):
                self.keep_apart(state, f"line {node.lineno} may be one attempt of several at the same thing")
            if item.optional_vars is not None:
                self.assign(item.optional_vars, mark, item.context_expr, state)
        if quiet:
            tried = ast.Try(node.body, [ast.ExceptHandler(None, None, [ast.Pass()])], [], [])
            return self._try(tried, state)
        return self.block(node.body, state)

    _asyncwith = _with

    def _try(self, node: ast.Try, state: State) -> State | None:
        watched = Try(state.copy())
        self.tries.append(watched)
        ok = self.block(node.body, state)
        self.tries[-1] = Try(None, watched.mark)  # `else` runs when nothing failed, and no handler looks after it
        ok = self.block(node.orelse, ok)
        self.tries.pop()
        failed = watched.state or State()
        failed.active |= any(each.active for each in self._all_left())
        ends: list[State | None] = [ok]
        for handler in node.handlers:
            self.conditions.append(watched.mark)
            caught = failed.copy()
            if handler.name:
                caught.bind(handler.name, watched.mark)
            ends.append(self.block(handler.body, caught))
            self.conditions.pop()
        after = self._on_success(joined(ends), watched.mark, [*node.body, *node.orelse])
        for handler in node.handlers:
            self._on_failure(after, watched.mark, handler.body)
        if after is None:
            self.block(node.finalbody, failed.copy())
            return None
        return self.block(node.finalbody, after)

    _trystar = _try

    def _all_left(self) -> Iterator[State]:
        yield from self.returned
        for loop in self.loops:
            yield from loop.left
            yield from loop.continued

    def _on_success(self, after: State | None, mark: Mark, block: Sequence[ast.stmt]) -> State | None:
        """Leaving in the `try` means that the call succeeded: what follows is for when it failed."""
        if after is None or not mark.level:
            return after
        for key, line in self._ways_out(block):
            why = f"line {line} leaves once a call has succeeded, before line {{call}}"
            after.controls.setdefault(key, Mark(mark.level, mark.name, line, why))
        return after

    def _on_failure(self, after: State | None, mark: Mark, block: Sequence[ast.stmt]) -> None:
        """Leaving a loop in the handler: the next turn may not be wanted if a call fails."""
        if after is None or not mark.level or not self.loops:
            return
        for key, line in self._ways_out(block):
            why = f"line {line} ends the loop when a call fails"
            if key[0] == "turn":
                after.controls.setdefault(("guard", self.loops[-1].number), mark)
            else:
                after.controls.setdefault(("later", self.loops[-1].number), Mark(MAYBE, "", line, why))

    def _match(self, node: ast.Match, state: State) -> State | None:
        mark = self.value(node.subject, state)
        test = self.decision(node, mark, "whether the call in line {call}")
        self.conditions.append(test)
        ends: list[State | None] = []
        for case in node.cases:
            inner = state.copy()
            for each in ast.walk(case.pattern):
                if isinstance(each, (ast.MatchAs, ast.MatchStar)) and each.name:
                    inner.bind(each.name, Mark(mark.level, each.name, case.pattern.lineno))
            self.value(case.guard, inner)
            ends.append(self.block(case.body, inner))
        self.conditions.pop()
        return self._leaving(joined([*ends, state]), test, *(case.body for case in node.cases))


def blocks(node: ast.AST) -> list[list[ast.stmt]]:
    """Give the blocks of a compound statement."""
    found = [getattr(node, name, None) for name in ("body", "orelse", "finalbody")]
    found += [each.body for each in (*getattr(node, "handlers", ()), *getattr(node, "cases", ()))]
    return [block for block in found if isinstance(block, list) and block]


def _ends_all(node: ast.stmt) -> bool:
    call = without_await(node.value) if isinstance(node, ast.Expr) else None
    if not isinstance(call, ast.Call):
        return False
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    return name in EXITS


def _looks_outside(test: ast.AST) -> bool:
    calls = [each for each in ast.walk(test) if isinstance(each, (ast.Call, ast.Attribute))]
    return any(not isinstance(each, ast.Call) or getattr(each.func, "id", "") not in HARMLESS_TESTS for each in calls)


def _is_endless(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return name in ENDLESS and not (name == "iter" and len(node.args) == 1)
