"""A list comprehension with an await in it reads as if it were parallel; it is not."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {
    "findings": {"scores": {"rule": ["serial-calls", "n-plus-one"], "at": ["score"], "verdict": "independent"}},
    "fixes": {"after_gathered": ["scores"]},
}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url(), timeout=10) as http:
        yield http


async def finance(http: httpx.AsyncClient, account: str) -> float:
    answer = await http.get(f"/finance/{account}")
    return answer.json()["score"]


async def before(n: int, http: httpx.AsyncClient) -> float:
    accounts = [f"{n}x{part}" for part in ("cash", "funds", "loans")]
    scores = [await finance(http, account) for account in accounts]  # at: score
    return sum(scores) / len(scores)


async def after_gathered(n: int, http: httpx.AsyncClient) -> float:
    accounts = [f"{n}x{part}" for part in ("cash", "funds", "loans")]
    scores = await asyncio.gather(*(finance(http, account) for account in accounts))
    return sum(scores) / len(scores)


if __name__ == "__main__":
    world.main(globals())
