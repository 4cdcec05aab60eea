"""The agent of agent.py with the remedies used: the same decisions and the same log records, sooner."""

from __future__ import annotations

import argparse
import logging
import sqlite3
from contextlib import closing
from functools import partial
from typing import Any

import requests
import shop
import world
from requests.adapters import HTTPAdapter

from microdelay import BufferedHandler, cached, fan_out

TIMEOUT = 10.0  # seconds
DEFAULT_RUNS = 30
POOL_SIZE = 8  # connections kept open: at least as many as calls in flight at once

logger = logging.getLogger("support")

# Shared by the threads of fan_out: its connection pool is thread-safe, its cookies and settings are not, but they
# stay as they are here. An agent that logs in over cookies wants a session per thread.
session = requests.Session()
session.mount("http://", HTTPAdapter(pool_maxsize=POOL_SIZE))


def get_weather(city: str) -> dict[str, Any]:
    response = session.get(world.url("/weather"), params={"city": city}, timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()


def get_finance(account: str) -> dict[str, Any]:
    response = session.get(world.url("/finance"), params={"account": account}, timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()


def get_crm(user_id: int) -> dict[str, Any]:
    response = session.get(world.url("/crm"), params={"user_id": user_id}, timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()


@cached(ttl=60)
def get_config() -> dict[str, Any]:
    response = session.get(world.url("/config"), timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()


def analyse_sentiment(text: str) -> float:
    response = session.post(world.url("/sentiment"), json={"text": text}, timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()["score"]


def ask_llm(prompt: str) -> str:
    config = get_config()
    request = {
        "model": config["model"],
        "max_tokens": config["max_tokens"],
        "messages": [{"role": "user", "content": prompt}],
    }
    logger.debug("asking %s with a prompt of %d characters", config["model"], len(prompt))
    response = session.post(world.url("/v1/chat/completions"), json=request, timeout=TIMEOUT)
    response.raise_for_status()
    completion = response.json()
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


def agent_process_message(user_id: int) -> str:
    logger.info("message of user %d received", user_id)
    with closing(shop.open_database()) as database:
        user = load_user(database, user_id)
        orders = load_orders(database, user_id)

    weather, finance, crm = fan_out(
        [
            partial(get_weather, user["city"]),
            partial(get_finance, user["account"]),
            partial(get_crm, user_id),
        ]
    )
    logger.info("weather in %s: %s", user["city"], weather["forecast"])
    logger.info("balance of account %s: %.2f", user["account"], finance["balance"])
    logger.info("user %d is in tier %s", user_id, crm["tier"])

    config = get_config()
    messages = crm["last_messages"][: config["messages_to_read"]]
    logger.debug("reading %d of %d messages", len(messages), len(crm["last_messages"]))
    scores = fan_out([partial(analyse_sentiment, message["text"]) for message in messages])
    for message, score in zip(messages, scores, strict=True):
        logger.info("sentiment about order %d: %+.2f", message["order"], score)
    sentiment = sum(scores) / len(scores)
    logger.info("sentiment of user %d: %+.2f", user_id, sentiment)

    case = shop.Case(user, orders, weather, finance, crm, sentiment)
    suggestion = ask_llm(shop.build_prompt(case))
    logger.info("suggested for user %d: %s", user_id, suggestion)

    config = get_config()
    logger.debug("deciding with configuration %d", config["version"])
    decision = shop.decide(case, suggestion, config)
    logger.info("decided: %s", decision)
    logger.debug("message of user %d done", user_id)
    return decision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=DEFAULT_RUNS, help="messages to process (default: %(default)s)")
    arguments = parser.parse_args()
    shop.prepare_database()
    with world.available(), closing(BufferedHandler(world.url("/logs"))) as handler:
        logger.setLevel(logging.DEBUG)
        logger.addHandler(handler)
        for user_id in shop.users_waiting(arguments.runs):
            print(agent_process_message(user_id), flush=True)


if __name__ == "__main__":
    main()
