"""The agent of agent_async.py with the remedies used: the same decisions and the same log records, sooner."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sqlite3
from contextlib import closing
from typing import Any

import aiohttp
import shop
import world

from microdelay import BufferedHandler, cached, fan_out

TIMEOUT = 10.0  # seconds
DEFAULT_RUNS = 30
MESSAGES_IN_FLIGHT = 3

logger = logging.getLogger("support")


async def get_weather(session: aiohttp.ClientSession, city: str) -> dict[str, Any]:
    async with session.get(world.url("/weather"), params={"city": city}) as response:
        response.raise_for_status()
        return await response.json()


async def get_finance(session: aiohttp.ClientSession, account: str) -> dict[str, Any]:
    async with session.get(world.url("/finance"), params={"account": account}) as response:
        response.raise_for_status()
        return await response.json()


async def get_crm(session: aiohttp.ClientSession, user_id: int) -> dict[str, Any]:
    async with session.get(world.url("/crm"), params={"user_id": user_id}) as response:
        response.raise_for_status()
        return await response.json()


@cached(ttl=60)
async def get_config(session: aiohttp.ClientSession) -> dict[str, Any]:
    async with session.get(world.url("/config")) as response:
        response.raise_for_status()
        return await response.json()


async def analyse_sentiment(session: aiohttp.ClientSession, text: str) -> float:
    async with session.post(world.url("/sentiment"), json={"text": text}) as response:
        response.raise_for_status()
        answer = await response.json()
    return answer["score"]


async def ask_llm(session: aiohttp.ClientSession, prompt: str) -> str:
    config = await get_config(session)
    request = {
        "model": config["model"],
        "max_tokens": config["max_tokens"],
        "messages": [{"role": "user", "content": prompt}],
    }
    logger.debug("asking %s with a prompt of %d characters", config["model"], len(prompt))
    async with session.post(world.url("/v1/chat/completions"), json=request) as response:
        response.raise_for_status()
        completion = await response.json()
    logger.debug("%s used %d tokens", config["model"], completion["usage"]["total_tokens"])
    return completion["choices"][0]["message"]["content"]


def load_user(database: sqlite3.Connection, user_id: int) -> dict[str, Any]:
    row = database.execute("SELECT id, name, city, account FROM users WHERE id = ?", (user_id,)).fetchone()
    logger.debug("user %d loaded", user_id)
    return dict(row)


def load_orders(database: sqlite3.Connection, user_id: int) -> list[dict[str, Any]]:
    rows = database.execute("SELECT id, placed_on FROM orders WHERE user_id = ? ORDER BY id DESC", (user_id,))
    orders = [dict(row) for row in rows.fetchall()]
    logger.debug("user %d has %d orders", user_id, len(orders))
    items_of: dict[int, list[dict[str, Any]]] = {order["id"]: [] for order in orders}
    marks = ", ".join("?" * len(items_of))
    items = database.execute(
        f"SELECT order_id, product, quantity, price FROM order_items WHERE order_id IN ({marks}) ORDER BY id",
        tuple(items_of),
    )
    for item in items.fetchall():
        items_of[item["order_id"]].append(dict(item))
    for order in orders:
        order["items"] = items_of[order["id"]]
    logger.debug("user %d has %d items", user_id, sum(len(order["items"]) for order in orders))
    return orders


def load_user_and_orders(user_id: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with closing(shop.open_database()) as database:
        return load_user(database, user_id), load_orders(database, user_id)


async def agent_process_message(session: aiohttp.ClientSession, user_id: int) -> str:
    logger.info("message of user %d received", user_id)
    user, orders = await asyncio.to_thread(load_user_and_orders, user_id)

    weather, finance, crm = await fan_out(
        [
            get_weather(session, user["city"]),
            get_finance(session, user["account"]),
            get_crm(session, user_id),
        ]
    )
    logger.info("weather in %s: %s", user["city"], weather["forecast"])
    logger.info("balance of account %s: %.2f", user["account"], finance["balance"])
    logger.info("user %d is in tier %s", user_id, crm["tier"])

    config = await get_config(session)
    messages = crm["last_messages"][: config["messages_to_read"]]
    logger.debug("reading %d of %d messages", len(messages), len(crm["last_messages"]))
    scores = await fan_out([analyse_sentiment(session, message["text"]) for message in messages])
    for message, score in zip(messages, scores, strict=True):
        logger.info("sentiment about order %d: %+.2f", message["order"], score)
    sentiment = sum(scores) / len(scores)
    logger.info("sentiment of user %d: %+.2f", user_id, sentiment)

    case = shop.Case(user, orders, weather, finance, crm, sentiment)
    suggestion = await ask_llm(session, shop.build_prompt(case))
    logger.info("suggested for user %d: %s", user_id, suggestion)

    config = await get_config(session)
    logger.debug("deciding with configuration %d", config["version"])
    decision = shop.decide(case, suggestion, config)
    logger.info("decided: %s", decision)
    logger.debug("message of user %d done", user_id)
    return decision


async def process_waiting(runs: int) -> list[str]:
    """Processes the waiting messages, MESSAGES_IN_FLIGHT at a time; the decisions in the order of the messages."""
    in_flight = asyncio.Semaphore(MESSAGES_IN_FLIGHT)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT)) as session:

        async def process(user_id: int) -> str:
            async with in_flight:
                return await agent_process_message(session, user_id)

        return await asyncio.gather(*(process(user_id) for user_id in shop.users_waiting(runs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=DEFAULT_RUNS, help="messages to process (default: %(default)s)")
    arguments = parser.parse_args()
    shop.prepare_database()
    with world.available(), closing(BufferedHandler(world.url("/logs"))) as handler:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
        for decision in asyncio.run(process_waiting(arguments.runs)):
            print(decision)


if __name__ == "__main__":
    main()
