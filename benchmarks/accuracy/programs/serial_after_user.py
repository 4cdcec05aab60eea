"""The user first, because what follows needs them; then weather, orders and record, which do not need each other."""

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import world

TRUTH = {
    "findings": {
        "about the user": {"rule": "serial-calls", "at": ["weather", "orders", "crm"], "verdict": "independent"}
    },
    "fixes": {"after_task_group": ["about the user"]},
    "dependent": [["user", "weather"]],
}


class Desk:
    def __init__(self, session):
        self.session = session

    async def _get(self, path, **params):
        async with self.session.get(path, params=params) as response:
            response.raise_for_status()
            return await response.json()

    async def user(self, user_id):
        return await self._get(f"/users/{user_id}")

    async def weather(self, city):
        return await self._get(f"/weather/{city}")

    async def orders(self, user_id):
        return await self._get("/orders", user=user_id)

    async def record(self, user_id):
        return await self._get(f"/crm/{user_id}")


@asynccontextmanager
async def resources():
    async with aiohttp.ClientSession(world.url()) as session:
        yield Desk(session)


async def before(user_id: int, desk: Desk):
    user = await desk.user(user_id)  # at: user
    weather = await desk.weather(user["city"] + str(user_id))  # at: weather
    orders = await desk.orders(user_id)  # at: orders
    record = await desk.record(user_id)  # at: crm
    return user["name"], weather["value"], orders["orders"], record["value"]


async def after_task_group(user_id: int, desk: Desk):
    user = await desk.user(user_id)
    async with asyncio.TaskGroup() as group:
        weather = group.create_task(desk.weather(user["city"] + str(user_id)))
        orders = group.create_task(desk.orders(user_id))
        record = group.create_task(desk.record(user_id))
    return user["name"], weather.result()["value"], orders.result()["orders"], record.result()["value"]


if __name__ == "__main__":
    world.main(globals())
