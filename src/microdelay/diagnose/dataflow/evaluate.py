"""Follows an answer through one expression after another, in the order in which Python evaluates them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from microdelay.diagnose.dataflow.apart import dotted, is_pacing, on_purpose
from microdelay.diagnose.dataflow.callees import Reads, called, hands_on, parameter_of, reads_of
from microdelay.diagnose.dataflow.keeping import Keeping, Scope
from microdelay.diagnose.dataflow.names import FILES, OPENING, STOPS_EARLY, TAKES_ALL
from microdelay.diagnose.dataflow.source import COMPREHENSIONS, LOOPS, names_read, without_await
from microdelay.diagnose.dataflow.taint import (
    ANY_ITEM,
    CARRIES,
    CLEAN,
    MAYBE,
    Link,
    Mark,
    Path,
    State,
    path_of,
    strongest,
)
from microdelay.diagnose.dataflow.values import Question, elements_of, given_as, links_of

TURNS = 20
"""Turns of a loop that are followed at most; nearly all settle in two or three."""

ALL_TURNS = 3000
"""Turns of all loops of a function together: loops in loops that do not settle would take the power of `TURNS`."""


@dataclass(slots=True)
class Try:
    """A `try` that is being followed: what was known somewhere in it, and whether the answer had a part in it."""

    state: State | None = None
    mark: Mark = CLEAN


@dataclass
class Evaluator:
    """Gives the mark of an expression's value, and notes in the state what evaluating it changes."""

    question: Question
    answers: list[Mark] = field(default_factory=list)
    conditions: list[Mark] = field(default_factory=list)
    tries: list[Try] = field(default_factory=list)
    turns_left: int = ALL_TURNS
    unsettled: ast.AST | None = None

    def __post_init__(self) -> None:
        self.module = self.question.module
        self.first, self.second = self.question.first, self.question.second
        self._first = without_await(self.first)
        self._asked = without_await(self.second) if self.second is not None else None
        self.scope = Scope(self.module, self.module.scope(self.first))
        self.around_first = frozenset(self.module.ancestors(self.first))
        second = self.second if self.second is not None else self.first
        self.around_both = self.around_first & frozenset(self.module.ancestors(second))
        self.later_turn = self.question.later_turn and any(
            isinstance(n, (*LOOPS, *COMPREHENSIONS)) for n in self.around_both
        )

    def value(self, node: ast.AST | None, state: State) -> Mark:
        """Evaluate one expression."""
        if node is None:
            return CLEAN
        mark = self._value(node, state)
        if node is self.second and (state.turned if self.later_turn else state.active):
            self._ask(mark, state)
        # In a later turn the first call is another one: what comes of its answer is not asked.
        if (node is self.first or node in self.question.also) and not state.turned:
            state.active = True
            self._leave_behind(node, state)
            mark = Mark(CARRIES, "", getattr(node, "lineno", 0))
            self._note(
                Mark(CARRIES, "", mark.line, f"line {{call}} runs only when the call in line {mark.line} failed")
            )
        return mark

    def _value(self, node: ast.AST, state: State) -> Mark:
        match node:
            case ast.Name():
                return self._noted(self.peek(node, state))
            case ast.Attribute() | ast.Subscript():
                return self._part(node, state)
            case ast.Call():
                return self._call(node, state)
            case ast.BoolOp():
                return self._in_turn(node.values, state)
            case ast.IfExp():
                test = self.value(node.test, state)
                with_test = self.decision(node, test, "which of its sides, the call in line {call} among them,")
                return self._under(with_test, [test], (node.body, node.orelse), state)
            case ast.NamedExpr():
                mark = self.value(node.value, state)
                self.assign(node.target, mark, node.value, state)
                return mark
            case ast.Lambda():
                defaults = [self.value(each, state) for each in (*node.args.defaults, *node.args.kw_defaults)]
                return strongest([*defaults, self.scope.read_by(node, state)])
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                return self._comprehension(node, state)
            case ast.Yield() | ast.YieldFrom():
                mark = self.value(node.value, state)
                self.keep_apart(state, f"line {node.lineno} hands over to the caller before the call in line {{call}}")
                return mark
        return strongest([self.value(each, state) for each in ast.iter_child_nodes(node) if _evaluated(each)])

    def peek(self, node: ast.AST, state: State) -> Mark:
        """Give the mark of what a node reads, without evaluating it: nothing is asked, nothing changes."""
        if isinstance(node, ast.Name):
            functions = self.scope.resolved(node, state)
            return strongest([state.read((node.id,)), *(self.scope.read_by(f, state) for f in functions)])
        return strongest(self.peek(ast.Name(name, ast.Load()), state) for name in sorted(names_read(node)))

    def _noted(self, mark: Mark) -> Mark:
        if mark.level:
            self._note(
                Mark(mark.level, mark.name, mark.line, f"line {{call}} runs only when handling `{mark.name}` failed")
            )
        return mark

    def _note(self, mark: Mark) -> None:
        for each in self.tries:
            each.mark = strongest([each.mark, mark])

    def _in_turn(self, values: Sequence[ast.expr], state: State) -> Mark:
        """Evaluate `a or b or c`: each one decides about those after it."""
        marks: list[Mark] = []
        pushed = 0
        for each in values:
            marks.append(self.value(each, state))
            decided = self.decision(each, marks[-1], "whether the call in line {call}")
            if decided.level:
                self.conditions.append(decided)
                pushed += 1
        del self.conditions[len(self.conditions) - pushed :]
        return strongest(marks)

    def _under(self, condition: Mark, marks: list[Mark], nodes: Iterable[ast.AST], state: State) -> Mark:
        self.conditions.append(condition)
        marks = [*marks, *(self.value(each, state) for each in nodes)]
        self.conditions.pop()
        return strongest(marks)

    def decision(self, node: ast.AST, mark: Mark, what: str) -> Mark:
        """Give the mark of a decision that reads `mark`: `what` says about what, ahead of the word "runs"."""
        if not mark.level:
            return CLEAN
        by = f"`{mark.name}`, made of the answer in line {mark.line}," if mark.name else "the first answer"
        return Mark(mark.level, mark.name, mark.line, f"line {getattr(node, 'lineno', 0)} decides by {by} {what} runs")

    def _part(self, node: ast.Attribute | ast.Subscript, state: State) -> Mark:
        index = self.value(node.slice, state) if isinstance(node, ast.Subscript) else CLEAN
        path = path_of(node)
        if path is None:
            return strongest([self.value(node.value, state), index])
        mark = self._noted(state.read(path))
        if not mark.level and path[:-1]:
            mark = self._looked_up(node, path, state)
        if not mark.level and isinstance(node, ast.Attribute) and path[0] in ("self", "cls"):
            mark = self._own_part(node.attr, path[:-1], state)  # a property is a method without brackets
        if not mark.level and isinstance(node, ast.Attribute):
            properties = self.module.properties.get(node.attr, ())
            mark = strongest(self.scope.read_by(each, state) for each in properties)
        return strongest([mark, index])

    def _looked_up(self, node: ast.AST, path: Path, state: State) -> Mark:
        """Give the mark of a part that a class of this module may make of others: `__getitem__`, `__getattr__`."""
        makers = ("__getitem__",) if isinstance(node, ast.Subscript) else ("__getattr__", "__getattribute__")
        if not any(self.module.functions.get(each) for each in makers):
            return CLEAN
        whole = state.read(path[:-1])
        return Mark(min(whole.level, MAYBE), whole.name, whole.line)

    def _own_part(self, name: str, path: Path, state: State) -> Mark:
        """Give the mark of what a method of the same object makes of its parts."""
        methods = [each for each in self.module.functions.get(name, ()) if self.module.is_method(each)]
        reads = Reads()
        for each in methods:
            reads |= reads_of(self.module, each)
        return strongest(mark for rest, mark in state.parts(path) if methods and (not rest or reads.has(rest[0])))

    def _call(self, node: ast.Call, state: State) -> Mark:
        function = self._receiver(node, state) if isinstance(node.func, ast.Attribute) else self.value(node.func, state)
        if isinstance(node.func, ast.Attribute):
            methods = self.scope.resolved(node.func, state)
            read = strongest(self.scope.read_by(each, state) for each in methods)
            function = strongest([function, Mark(min(read.level, MAYBE), read.name, read.line)])
        name = called(node)
        marks: list[tuple[ast.expr, Mark]] = []
        for number, each in enumerate((*node.args, *(keyword.value for keyword in node.keywords))):
            if isinstance(each, ast.GeneratorExp):
                marks.append((each, self._generator(each, name, state)))
            else:
                marks.append((each, self._argument(node, number, each, state)))
        given = strongest(mark for _, mark in marks)
        decided = strongest([given, *self.conditions, *deciding(state)])
        if decided.level or function.level:
            Keeping(self.scope, node, decided, function, state).note(marks)
        if state.active and node not in (self._asked, self._first) and is_pacing(self.module, node):
            wanted = on_purpose(self.module, node)
            what = f"`{dotted(node.func)}` in line {node.lineno} keeps the calls apart"
            self.keep_apart(state, f"{what}{'' if wanted else ', perhaps'} on purpose", CARRIES if wanted else MAYBE)
        files = state.held.get((FILES,), CLEAN) if name in OPENING else CLEAN
        return strongest([function, given, Mark(files.level, FILES if files.level else "", files.line)])

    def _argument(self, node: ast.Call, number: int, each: ast.expr, state: State) -> Mark:
        """Give the mark of an argument: of the second call, of those parts of it that its functions may read."""
        path, reads = path_of(each), self.question.reads
        functions = self.scope.resolved(node.func, state) if node is self._asked else ()
        if path is None or reads is None or not functions:
            return self.value(each, state)
        names = [parameter_of(function, node, number) for function in functions]
        if any(not name or hands_on(self.module, f, name) for f, name in zip(functions, names, strict=True)):
            return self.value(each, state)
        return self._noted(strongest(mark for rest, mark in state.parts(path) if not rest or reads.has(rest[0])))

    def keep_apart(self, state: State, why: str, level: int = MAYBE) -> None:
        """Note something between the calls that may be (`CARRIES`: that is) there on purpose."""
        if state.active and level > state.controls.get(("function", 0), CLEAN).level:
            state.controls["function", 0] = Mark(level, "", 0, why)

    def _receiver(self, node: ast.Call, state: State) -> Mark:
        """Give the mark of an object whose method is called: of those parts of it that the method may read."""
        function = node.func
        assert isinstance(function, ast.Attribute)
        path = path_of(function.value)
        if path is None or isinstance(function.value, ast.Subscript):
            return self.value(function.value, state)
        reads = self.question.reads if node is self._asked else None
        own = path[0] in ("self", "cls") and len(path) == 1
        if reads is None and own:
            methods = [each for each in self.module.functions.get(function.attr, ()) if self.module.is_method(each)]
            for each in methods:
                reads = (reads or Reads()) | reads_of(self.module, each)
        marks: list[Mark] = []
        for rest, mark in state.parts(path):
            if not rest or reads is None:
                unsure = bool(rest) and own
                marks.append(Mark(MAYBE if unsure else mark.level, mark.name, mark.line))
            elif reads.has(rest[0]):
                marks.append(mark)
        return self._noted(strongest(marks))

    def _generator(self, node: ast.GeneratorExp, taker: str, state: State) -> Mark:
        if taker in STOPS_EARLY:
            return self._comprehension(
                node, state, f"`{taker}` in line {node.lineno} stops as soon as an answer settles it"
            )
        return self._comprehension(node, state, "" if taker in TAKES_ALL else _lazy(node))

    def _comprehension(self, node: ast.AST, state: State, stops: str | None = None) -> Mark:
        assert isinstance(node, COMPREHENSIONS)
        if stops is None:
            stops = _lazy(node) if isinstance(node, ast.GeneratorExp) else ""
        over = self.goes_over(node.generators[0].iter, state)
        inner = state.copy()
        mark = over
        for turn in self.turns(node, inner):
            before = inner.copy(), mark
            inner.turned |= bool(turn) and inner.active and node in self.around_both
            if turn and stops and inner.active and node in self.around_first:
                level = CARRIES if "stops" in stops else MAYBE
                inner.controls.setdefault(("turn", id(node)), Mark(level, "", 0, stops))
            mark = strongest([mark, self._elements(node, node.generators, inner, over)])
            if turn and inner.same(before[0]) and mark.level == before[1].level:
                break
        own = {name for each in node.generators for name in names_stored(each.target)}
        state.active = inner.active
        state.turned |= inner.turned
        for path, held in inner.held.items():
            if path[0] not in own:
                state.held.setdefault(path, held)
        for key, control in inner.controls.items():
            if key[0] != "turn":
                state.controls.setdefault(key, control)
        return mark

    def goes_over(self, node: ast.expr, state: State) -> Mark:
        """Evaluate what a loop goes over; an answer that is only kept in a part of its elements does not count."""
        mark = self.value(node, state)
        return self.items(node, state) if elements_of(node) else mark

    def items(self, node: ast.AST, state: State) -> Mark:
        """Give the mark of the elements of what a loop goes over, and of how many there are."""
        sources = elements_of(node)
        if not sources:
            return self.peek(node, state)
        return strongest(
            mark
            for path in sources
            for rest, mark in state.parts(path)
            if not rest or (len(rest) == 1 and rest[0].startswith("["))
        )

    def bind_items(self, target: ast.AST, over: ast.AST, mark: Mark, state: State) -> None:
        """Bind a loop's target to the next element, with the parts of it that are known to hold the answer."""
        sources = elements_of(over)
        parts = [(rest[1:], each) for path in sources for rest, each in state.parts(path) if len(rest) > 1]
        self.assign(target, mark, None, state)
        for name in names_stored(target):
            inside = sources or [(each,) for each in sorted(names_read(over))]
            state.links[name] = frozenset(Link((*path, ANY_ITEM), True) for path in inside if path[0] != name)
            for rest, each in parts:
                state.held.setdefault((name, *rest), each)

    def turns(self, node: ast.AST, state: State) -> Iterator[int]:
        """Count the turns of a loop that are to be followed into one another, for as long as the caller asks."""
        again = self.later_turn or node not in self.around_both if node in self.around_first else state.active
        yield 0
        if not again:
            return
        for turn in range(1, TURNS):
            self.turns_left -= 1
            if self.turns_left < 0:
                break
            yield turn
        self.unsettled = node

    def _elements(
        self, node: ast.AST, generators: Sequence[ast.comprehension], state: State, over: Mark | None = None
    ) -> Mark:
        if not generators:
            parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (getattr(node, "elt", None),)
            return strongest([self.value(part, state) for part in parts])
        head, *rest = generators
        mark = self.goes_over(head.iter, state) if over is None else strongest([over, self.items(head.iter, state)])
        self.bind_items(head.target, head.iter, mark, state)
        conditions = [self.decision(head.iter, mark, "how often the call in line {call}")]
        tests = [self.value(test, state) for test in head.ifs]
        for test, chosen in zip(head.ifs, tests, strict=True):
            conditions.append(self.decision(test, chosen, "whether the call in line {call}"))
        self.conditions.extend(conditions)
        result = self._elements(node, rest, state)
        del self.conditions[len(self.conditions) - len(conditions) :]
        return strongest([result, mark, *tests])

    def assign(self, target: ast.AST, mark: Mark, value: ast.AST | None, state: State) -> None:
        """Bind a target to a value of that mark; what a decision on the answer binds, carries the answer too."""
        if isinstance(target, (ast.Tuple, ast.List)):
            for each in target.elts:
                self.assign(each, mark, value, state)
            return
        if isinstance(target, ast.Starred):
            self.assign(target.value, mark, value, state)
            return
        line = getattr(target, "lineno", 0)
        mark = strongest([mark, *self.conditions, *deciding(state)])
        path = path_of(target)
        if isinstance(target, ast.Name):
            self._assign_name(target.id, Mark(mark.level, target.id, line), value, state)
            return
        if isinstance(target, ast.Subscript):
            index = self.value(target.slice, state)
            if index.level and not mark.level:
                mark, path = index, (*path[:-1], ANY_ITEM) if path else None
        if path is None:
            for name in sorted(names_read(target)) if mark.level else ():
                state.change((name,), Mark(MAYBE, name, line))
        elif mark.level:
            state.change(path, Mark(mark.level, "", line))
            if isinstance(target, ast.Attribute) and target.attr in self.module.properties:
                state.change(path[:-1], Mark(MAYBE, "", line))
        else:
            state.clear(path)

    @staticmethod
    def _assign_name(name: str, mark: Mark, value: ast.AST | None, state: State) -> None:
        known = state.functions.get(value.id) if isinstance(value, ast.Name) else None
        if isinstance(value, ast.Lambda):
            known = frozenset({value})
        state.bind(name, mark, links_of(value))
        if known:
            state.functions[name] = known

    def _leave_behind(self, node: ast.AST, state: State) -> None:
        call = without_await(node) if isinstance(node, ast.expr) else node
        for left in self.question.left:
            if not left.parameter:
                state.change((left.name, *left.rest), left.mark)
                continue
            for path in given_as(call, left):
                state.change((*path, *left.rest), left.mark)

    def _ask(self, mark: Mark, state: State) -> None:
        """Note how the second call is reached: by which arguments, what its functions read, what decided about it."""
        marks = [mark, *self.conditions, *deciding(state)]
        reads = self.question.reads
        if reads is not None:
            for path, held in state.held.items():
                if path[0] in reads.names and (len(path) == 1 or reads.has(path[1])):
                    marks.append(held)
        self.answers.append(strongest(marks))


def deciding(state: State) -> list[Mark]:
    """Give what decided about the way here; that a call did not fail is no decision."""
    return [mark for key, mark in state.controls.items() if key[0] not in ("guard", "later")]


def names_stored(node: ast.AST) -> set[str]:
    """Give the plain names that a target binds."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}


def _evaluated(node: ast.AST) -> bool:
    return isinstance(node, (ast.expr, ast.keyword, ast.FormattedValue, ast.Slice))


def _lazy(node: ast.GeneratorExp) -> str:
    return f"the generator in line {node.lineno} makes each call only when it is asked for the next element"
