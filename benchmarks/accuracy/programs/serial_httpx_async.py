"""A dashboard's three panels, awaited one after the other on one httpx client."""

import asyncio
from contextlib import asynccontextmanager

import httpx
import world

TRUTH = {
    "findings": {"panels": {"rule": "serial-calls", "at": ["stock", "history", "crm"], "verdict": "independent"}},
    "fixes": {"after_gathered": ["panels"]},
}


@asynccontextmanager
async def resources():
    async with httpx.AsyncClient(base_url=world.url()) as client:
        yield client


async def before(number, client):
    stock = await client.get(f"/stock/s{number}")  # at: stock
    history = await client.get(f"/history/s{number}")  # at: history
    crm = await client.get(f"/crm/{number}")  # at: crm
    return [stock.json()["value"], history.json()["value"], crm.json()["value"]]


async def after_gathered(number, client):
    panels = await asyncio.gather(
        client.get(f"/stock/s{number}"), client.get(f"/history/s{number}"), client.get(f"/crm/{number}")
    )
    return [panel.json()["value"] for panel in panels]


if __name__ == "__main__":
    world.main(globals())
