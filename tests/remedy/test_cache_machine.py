"""cached, whatever happens to it: beside a model that is a dictionary and a clock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from microdelay import cached, invalidate_tags

PATIENCE_S = 20
KEYS = st.sampled_from([1, True, "1"])


def exact(key: object) -> tuple[str, str]:
    return type(key).__name__, repr(key)


class Load:
    """A call under way, in a thread of its own, which ends when told."""

    def __init__(self, key: object) -> None:
        self.key = key
        self.outcome: object = None
        self.entered, self.gate = threading.Event(), threading.Event()
        self.thread: threading.Thread | None = None
        self.joined: list[threading.Thread] = []
        self.answers: list[object] = []
        self.is_kept = True


class CacheMachine(RuleBasedStateMachine):
    """Calls that answer at once, calls that hang while other things happen, calls that fail."""

    loads = Bundle("loads")

    @initialize(
        max_size=st.integers(1, 6),
        ttl=st.sampled_from([5.0, 20.0]),
        stale=st.sampled_from([0.0, 10.0]),
        max_bytes=st.sampled_from([None, 1500]),
    )
    def make(self, max_size: int, ttl: float, stale: float, max_bytes: int | None) -> None:
        self.patch = pytest.MonkeyPatch()
        self.now = 1000.0
        self.patch.setattr("microdelay.remedy.cache_function.monotonic", lambda: self.now)
        # No call in the background here: old answers stay as they are until they are dead.
        self.patch.setattr("microdelay.remedy.cache_refresh.in_thread", lambda work: False)
        self.max_size, self.max_bytes, self.life = max_size, max_bytes, ttl + stale
        self.source: dict[object, int] = {}
        self.may_be: dict[object, list[tuple[int, float]]] = {}
        self.under_way: dict[object, Load] = {}
        self.last_load = threading.local()
        self.fetch: Any = cached(
            ttl=ttl,
            max_size=max_size,
            max_bytes=max_bytes,
            stale_while_revalidate=stale,
            tags=lambda key: ["text" if isinstance(key, str) else "other"],
        )(self._ask)

    def _ask(self, key: object) -> list[object]:
        load: Load | None = getattr(self.last_load, "load", None)
        if load is not None:
            load.entered.set()
            assert load.gate.wait(PATIENCE_S)
            if isinstance(load.outcome, Exception):
                raise load.outcome
        return [exact(key), self.source.get(exact(key), 0)]

    def _valid(self, key: object) -> list[int]:
        """The versions that the cache may still hold."""
        return [version for version, dead_at in self.may_be.get(exact(key), []) if self.now < dead_at]

    def _loaded(self, key: object) -> None:
        version = self.source.get(exact(key), 0)
        self.may_be[exact(key)] = [(version, self.now + self.life)]

    @rule(key=KEYS)
    def call(self, key: object) -> None:
        if exact(key) in self.under_way:
            return
        misses = self.fetch.stats().misses
        name, version = self.fetch(key)
        assert name == exact(key)
        if self.fetch.stats().misses > misses:
            assert version == self.source.get(exact(key), 0)
            self._loaded(key)
        else:
            assert version in self._valid(key)

    @rule(key=KEYS)
    def spoil_the_answer(self, key: object) -> None:
        if exact(key) not in self.under_way:
            self.call(key)
            self.fetch(key).append("mine")
            self.fetch(key)[0] = "mine"
            assert len(self.fetch(key)) == 2
            if not self._valid(key):
                self._loaded(key)

    @rule(key=KEYS)
    def change_the_source(self, key: object) -> None:
        self.source[exact(key)] = self.source.get(exact(key), 0) + 1

    @rule(seconds=st.sampled_from([1.0, 4.0, 11.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=KEYS)
    def invalidate(self, key: object) -> None:
        self.fetch.invalidate(key)
        self._forget(lambda known: known == exact(key))

    @rule(text=st.booleans())
    def invalidate_by_tag(self, text: bool) -> None:
        invalidate_tags("text" if text else "other")
        self._forget(lambda known: (known[0] == "str") == text)

    @rule()
    def clear(self) -> None:
        self.fetch.clear()
        self._forget(lambda known: True)

    def _forget(self, which: Callable[[tuple[str, str]], bool]) -> None:
        for known in [known for known in self.may_be if which(known)]:  # type: ignore[arg-type]
            del self.may_be[known]
        for known in [known for known in self.under_way if which(known)]:  # type: ignore[arg-type]
            self.under_way.pop(known).is_kept = False

    @rule(target=loads, key=KEYS)
    def begin(self, key: object) -> Load:
        load = Load(key)
        if exact(key) in self.under_way or self._valid(key):
            load.gate.set()
            return load

        def lead() -> None:
            self.last_load.load = load
            self._note(load, key)

        load.thread = threading.Thread(target=lead, daemon=True)
        load.thread.start()
        assert load.entered.wait(PATIENCE_S)
        self.under_way[exact(key)] = load
        return load

    @rule(load=loads)
    def join(self, load: Load) -> None:
        if self.under_way.get(exact(load.key)) is not load or self._valid(load.key):
            return
        joined = self.fetch.stats().joined
        thread = threading.Thread(target=self._note, args=(load, load.key), daemon=True)
        thread.start()
        load.joined.append(thread)
        tick = threading.Event()
        while self.fetch.stats().joined == joined:
            assert thread.is_alive()
            tick.wait(0.0005)

    @rule(load=loads, fails=st.booleans())
    def end(self, load: Load, fails: bool) -> None:
        if load.gate.is_set():
            return
        error = ValueError("down") if fails else None
        load.outcome = error
        load.gate.set()
        for thread in [load.thread, *load.joined]:
            assert thread is not None
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        assert len(load.answers) == 1 + len(load.joined)
        expected = error or [exact(load.key), self.source.get(exact(load.key), 0)]
        assert all(answer is error if error else answer == expected for answer in load.answers)
        assert len({id(answer) for answer in load.answers}) == (1 if error else len(load.answers))
        if load.is_kept:
            del self.under_way[exact(load.key)]
            if not error:
                self._loaded(load.key)

    def _note(self, load: Load, key: object) -> None:
        try:
            load.answers.append(self.fetch(key))
        except ValueError as error:
            load.answers.append(error)

    @invariant()
    def there_is_room(self) -> None:
        if hasattr(self, "fetch"):
            assert self.fetch.stats().size <= self.max_size
            assert self.max_bytes is None or self.fetch.stats().bytes <= self.max_bytes

    def teardown(self) -> None:
        if hasattr(self, "patch"):
            for load in list(self.under_way.values()):
                load.gate.set()
            self.patch.undo()


TestCacheMachine = CacheMachine.TestCase
TestCacheMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)
