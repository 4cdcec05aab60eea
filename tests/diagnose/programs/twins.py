"""Twin calls as people write them, each a class of its own: `dependent_…` must never be said to be independent.

Run as `twins.py SERVICE RECORDING [DSN]`; each case runs some times. The service answers any path with values of its
own, sets a cookie at `/login`, and says 503 to the first two of a `/flaky/…`.
"""
# ruff: noqa: N801, PERF401, RET504  # names tell the truth, and code is as it is often found

import asyncio
import contextlib
import contextvars
import functools
import inspect
import sys
import threading
import time
from dataclasses import dataclass, field

import httpx
import requests
import tenacity

import microdelay

URL = sys.argv[1]
TIMES = 4


def get(path, **options):
    response = requests.get(URL + path, timeout=10, **options)
    response.raise_for_status()
    return response.json()


class dependent_cookie_of_a_session:
    def run(self, n):
        with requests.Session() as session:
            session.get(f"{URL}/login/{n}").raise_for_status()
            reply = session.get(f"{URL}/me").json()
            return reply


class dependent_cookie_used_by_both:
    def run(self, n):
        with requests.Session() as session:
            greeting = session.get(f"{URL}/login/{n}").json()
            me = session.get(f"{URL}/me").json()
            return greeting, me


class independent_session:
    def run(self, n):
        with requests.Session() as session:
            one = session.get(f"{URL}/one/{n}").json()
            two = session.get(f"{URL}/two/{n}").json()
            return one, two


class dependent_header_set_on_the_session:
    def __init__(self):
        self.session = requests.Session()

    def login(self, n):
        reply = self.session.get(f"{URL}/token/{n}").json()
        self.session.headers.update({"Authorization": "Bearer " + reply["next"]})

    def account(self):
        return self.session.get(f"{URL}/account").json()

    def run(self, n):
        self.login(n)
        account = self.account()
        return account


class dependent_auth_of_a_client:
    async def run(self, n):
        async with httpx.AsyncClient(base_url=URL) as client:
            reply = (await client.get(f"/token/{n}")).json()
            client.auth = ("user", reply["next"])
            account = (await client.get("/account")).json()
            return account


class independent_client:
    async def run(self, n):
        async with httpx.AsyncClient(base_url=URL) as client:
            one = (await client.get(f"/one/{n}")).json()
            two = (await client.get(f"/two/{n}")).json()
            return one, two


class dependent_created_by_a_known_id:
    def run(self, n):
        made = requests.put(f"{URL}/orders/{n}", json={"n": n}).json()
        read = requests.get(f"{URL}/orders/{n}").json()
        return made, read


class dependent_created_by_post:
    def run(self, n):
        made = requests.post(f"{URL}/orders", json={"n": n}).json()
        listed = requests.get(f"{URL}/orders?all=1").json()
        return made, listed


class dependent_token_by_post:
    def run(self, n):
        made = requests.post(f"{URL}/oauth/token", json={"n": n}).json()
        listed = requests.get(f"{URL}/account").json()
        return made, listed


class dependent_completed_by_post:
    def run(self, n):
        made = requests.post(f"{URL}/tasks/{n}/complete", json={"n": n}).json()
        listed = requests.get(f"{URL}/tasks").json()
        return made, listed


class dependent_message_then_run:
    def run(self, n):
        made = requests.post(f"{URL}/threads/{n}/messages", json={"n": n}).json()
        started = requests.post(f"{URL}/threads/{n}/runs", json={"n": n}).json()
        return made, started


class independent_embeddings:
    def run(self, n):
        one = requests.post(f"{URL}/v1/embeddings", json={"model": "m", "input": f"a{n}"}).json()
        two = requests.post(f"{URL}/v1/embeddings", json={"model": "m", "input": f"b{n}"}).json()
        return one, two


class dependent_limiter_in_a_helper:
    def __init__(self):
        self.turn = asyncio.Semaphore(1)

    async def ask(self, client, path):
        async with self.turn:
            return (await client.get(path)).json()

    async def run(self, n):
        async with httpx.AsyncClient(base_url=URL) as client:
            one = await self.ask(client, f"/one/{n}")
            two = await self.ask(client, f"/two/{n}")
            return one, two


class Limiter:
    def __init__(self):
        self.next = 0.0

    async def __aenter__(self):
        wait = self.next - time.monotonic()
        self.next = max(self.next, time.monotonic()) + 0.002
        if wait > 0:
            await asyncio.sleep(wait)

    async def __aexit__(self, *error):
        return None


class dependent_limiter_of_ones_own:
    def __init__(self):
        self.pace = Limiter()

    async def run(self, n):
        found = []
        async with httpx.AsyncClient(base_url=URL) as client:
            for number in range(3):
                async with self.pace:
                    found.append((await client.get(f"/item/{n}/{number}")).json())
        return found


class independent_loop:
    async def run(self, n):
        found = []
        async with httpx.AsyncClient(base_url=URL) as client:
            for number in range(3):
                found.append((await client.get(f"/item/{n}/{number}")).json())
        return found


class dependent_sleep_in_a_helper:
    def ask(self, path):
        time.sleep(0.001)
        return get(path)

    def run(self, n):
        one = self.ask(f"/one/{n}")
        two = self.ask(f"/two/{n}")
        return one, two


class independent_helper_that_retries:
    def ask(self, path):
        for attempt in range(3):
            try:
                return get(path)
            except requests.ConnectionError:
                time.sleep(0.01 * attempt)
        raise RuntimeError(path)

    def run(self, n):
        one = self.ask(f"/one/{n}")
        two = self.ask(f"/two/{n}")
        return one, two


class dependent_lock_around_each:
    lock = threading.Lock()

    def run(self, n):
        with self.lock:
            one = get(f"/one/{n}")
        with self.lock:
            two = get(f"/two/{n}")
        return one, two


class dependent_retry_loop:
    def run(self, n):
        for _ in range(3):
            response = requests.get(f"{URL}/flaky/loop{n}")
            if response.ok:
                break
        return response.json()


class dependent_retry_by_tenacity:
    @tenacity.retry(stop=tenacity.stop_after_attempt(3))
    def ask(self, n):
        return get(f"/flaky/tenacity{n}")

    def run(self, n):
        return self.ask(n)


class dependent_retrying_blocks:
    def run(self, n):
        for attempt in tenacity.Retrying(stop=tenacity.stop_after_attempt(3)):
            with attempt:
                reply = get(f"/flaky/blocks{n}")
        return reply


def retried(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        for _ in range(3):
            try:
                return function(*args, **kwargs)
            except requests.HTTPError as error:
                last = error
        raise last

    return wrapper


class dependent_retry_of_ones_own:
    @retried
    def ask(self, n):
        return get(f"/flaky/own{n}")

    def run(self, n):
        return self.ask(n)


class independent_decorated:
    @retried
    def ask(self, path):
        return get(path)

    def run(self, n):
        one = self.ask(f"/one/{n}")
        two = self.ask(f"/two/{n}")
        return one, two


class dependent_polling:
    def state(self, n):
        return get(f"/flaky/poll{n}?soft=1")["ok"]

    def run(self, n):
        while not self.state(n):
            pass
        return n


class dependent_pages_of_a_generator:
    def pages(self, n):
        cursor = "first"
        while cursor:
            page = get(f"/pages/{n}?cursor={cursor}")
            yield page
            cursor = page["cursor"]

    def run(self, n):
        return list(self.pages(n))


class dependent_pages_of_an_object:
    @dataclass
    class Pager:
        cursor: str = "first"
        rows: list = field(default_factory=list)

        def step(self, n):
            page = get(f"/pages/{n}?cursor={self.cursor}")
            self.rows.append(page)
            self.cursor = page["cursor"]

    def run(self, n):
        pager = self.Pager()
        while pager.cursor:
            pager.step(n)
        return pager.rows


class dependent_pages_by_recursion:
    def page(self, n, cursor):
        page = get(f"/pages/{n}?cursor={cursor}")
        return [page, *(self.page(n, page["cursor"]) if page["cursor"] else [])]

    def run(self, n):
        return self.page(n, "first")


class dependent_pages_by_iter:
    def run(self, n):
        state = {"cursor": "first"}

        def page():
            if not state["cursor"]:
                return None
            reply = get(f"/pages/{n}?cursor={state['cursor']}")
            state["cursor"] = reply["cursor"]
            return reply

        return list(iter(page, None))


class dependent_history:
    def __init__(self):
        self.history = []

    def ask(self, text):
        self.history.append(text)
        reply = requests.post(f"{URL}/v1/chat/completions", json={"model": "m", "messages": self.history}).json()
        self.history.append(reply["next"])
        return reply

    def run(self, n):
        one = self.ask(f"one {n}")
        two = self.ask(f"two {n}")
        return one, two


class independent_prompts:
    def ask(self, text):
        return requests.post(f"{URL}/v1/chat/completions", json={"model": "m", "messages": [text]}).json()

    def run(self, n):
        one = self.ask(f"one {n}")
        two = self.ask(f"two {n}")
        return one, two


token = contextvars.ContextVar("token", default="")


class dependent_context_variable:
    def login(self, n):
        token.set(get(f"/token/{n}")["next"])

    def account(self):
        return get("/account", headers={"X-Token": token.get()})

    def run(self, n):
        self.login(n)
        account = self.account()
        return account


class dependent_partial:
    def run(self, n):
        reply = get(f"/token/{n}")
        ask = functools.partial(get, headers={"X-Token": reply["next"]})
        account = ask("/account")
        return account


class independent_partial:
    def run(self, n):
        reply = get(f"/one/{n}")
        ask = functools.partial(get, headers={"X-Token": "mine"})
        account = ask("/account")
        return reply, account


class dependent_callback:
    def login(self, n, done):
        done(get(f"/token/{n}"))

    def run(self, n):
        seen = {}
        self.login(n, lambda reply: seen.update(reply))
        account = get("/account", params={"t": seen["next"]})
        return account


class dependent_exit_stack:
    @contextlib.contextmanager
    def session(self, n):
        with requests.Session() as made:
            made.headers["X-Token"] = get(f"/token/{n}")["next"]
            yield made

    def run(self, n):
        with self.session(n) as session:
            account = session.get(f"{URL}/account").json()
        return account


class dependent_kwargs:
    def run(self, n):
        options = {}
        options["params"] = {"t": get(f"/token/{n}")["next"]}
        account = get("/account", **options)
        return account


class independent_kwargs:
    def run(self, n):
        options = {"params": {"t": "mine"}}
        one = get(f"/one/{n}", **options)
        account = get("/account", **options)
        return one, account


class dependent_match:
    def run(self, n):
        match get(f"/one/{n}"):
            case {"path": "one"}:
                two = get(f"/two/{n}")
            case _:
                two = None
        return two


class dependent_guard:
    def allowed(self, n):
        return get(f"/allowed/{n}")["ok"]

    def run(self, n):
        if not self.allowed(n):
            return None
        two = get(f"/two/{n}")
        return two


class dependent_forbidding:
    def check(self, n):
        reply = get(f"/allowed/{n}")
        if not reply["ok"]:
            raise PermissionError(n)
        return reply

    def run(self, n):
        one = self.check(n)
        two = get(f"/two/{n}")
        return one, two


class independent_guard:
    def check(self, n):
        reply = get(f"/allowed/{n}")
        if not reply["ok"]:
            raise RuntimeError(n)
        return reply

    def run(self, n):
        one = self.check(n)
        two = get(f"/two/{n}")
        return one, two


class dependent_async_generator:
    async def rows(self, client, n):
        cursor = "first"
        while cursor:
            page = (await client.get(f"/pages/{n}", params={"cursor": cursor})).json()
            yield page
            cursor = page["cursor"]

    async def run(self, n):
        async with httpx.AsyncClient(base_url=URL) as client:
            return [page async for page in self.rows(client, n)]


class dependent_queue:
    async def run(self, n):
        queue = asyncio.Queue()
        async with httpx.AsyncClient(base_url=URL) as client:
            await queue.put((await client.get(f"/token/{n}")).json())
            reply = await queue.get()
            account = (await client.get("/account", headers={"X-Token": reply["next"]})).json()
            return account


class independent_to_thread:
    async def run(self, n):
        one = await asyncio.to_thread(get, f"/one/{n}")
        two = await asyncio.to_thread(get, f"/two/{n}")
        return one, two


class dependent_to_thread:
    def look(self, n):
        self.size = len(get(f"/one/{n}")["next"])
        return True

    def use(self, n):
        return get(f"/two/{n}/{self.size}")

    async def run(self, n):
        one = await asyncio.to_thread(self.look, n)
        two = await asyncio.to_thread(self.use, n)
        return one, two


class dependent_partial_in_thread:
    def look(self, found, n):
        found.append(len(get(f"/one/{n}")["next"]))
        return True

    def use(self, found, n):
        return get(f"/two/{n}/{found[0]}")

    async def run(self, n):
        found = []
        one = await asyncio.to_thread(functools.partial(self.look, found), n)
        two = await asyncio.to_thread(functools.partial(self.use, found), n)
        return one, two


class dependent_reduce:
    def run(self, n):
        return functools.reduce(lambda text, word: get(f"/next/{word}?t={text}")["next"], ["a", "b", "c"], str(n))


class dependent_bytes_length:
    def run(self, n):
        size = len(requests.get(f"{URL}/one/{n}").content)
        part = get(f"/two?size={size}")
        return part


class independent_properties:
    def __init__(self):
        self.n = 0

    @property
    def weather(self):
        return get(f"/weather/{self.n}")

    @property
    def account(self):
        return get(f"/account/{self.n}")

    def run(self, n):
        self.n = n
        sky = self.weather
        money = self.account
        return sky, money


class independent_walrus_and_try:
    def run(self, n):
        try:
            if not (one := get(f"/one/{n}")):
                raise LookupError(n)
        except requests.RequestException:
            one = {}
        try:
            two = get(f"/two/{n}")
        except requests.RequestException:
            two = {}
        return one, two


class independent_dict_display:
    async def run(self, n):
        async with httpx.AsyncClient(base_url=URL) as client:
            return {
                "one": (await client.get(f"/one/{n}")).json(),
                "two": (await client.get(f"/two/{n}")).json(),
            }


class independent_same_value_in_every_call:
    def run(self, n):
        user = get(f"/echo/user-{n}")
        orders = get(f"/echo/user-{n}/orders")
        return user, orders


@dataclass
class State:
    n: str = ""
    user: dict | None = None
    sky: dict | None = None


class independent_graph_nodes:
    def user(self, state):
        state.user = get(f"/user/{state.n}")

    def sky(self, state):
        state.sky = get(f"/sky/{state.n}")

    def run(self, n):
        state = State(n)
        self.user(state)
        self.sky(state)
        return state


class dependent_graph_nodes:
    def user(self, state):
        state.user = get("/user")

    def sky(self, state):
        state.sky = get(f"/sky?of={len(state.user)}")

    def run(self, n):
        state = State()
        self.user(state)
        self.sky(state)
        return state


def cases():
    return [made for name, made in globals().items() if name.startswith(("dependent_", "independent_"))]


@microdelay.trace
def one(made, n):
    ran = made().run(n)
    return asyncio.run(ran) if inspect.iscoroutine(ran) else ran


if __name__ == "__main__":
    microdelay.start(sys.argv[2], sampler=False)
    for each in cases():
        for number in range(TIMES):
            one(each, f"{each.__name__}-{number}")
    microdelay.stop()
