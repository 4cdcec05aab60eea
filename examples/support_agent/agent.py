"""A customer support agent: fast on a laptop with everything local, glacial in production. `--runs N` messages."""

from __future__ import annotations

import argparse
import logging
import sqlite3
from contextlib import closing
from typing import Any

import requests
import shop
import world
from remote_log import RemoteLogHandler

TIMEOUT = 10.0  # seconds
DEFAULT_RUNS = 30

logger = logging.getLogger("support")


def get_weather(city: str) -> dict[str, Any]:
    response = requests.get(world.url("/weather"), params={"city": city}, timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()


def get_finance(account: str) -> dict[str, Any]:
    response = requests.get(world.url("/finance"), params={"account": account}, timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()


def get_crm(user_id: int) -> dict[str, Any]:
    response = requests.get(world.url("/crm"), params={"user_id": user_id}, timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()


def get_config() -> dict[str, Any]:
    response = requests.get(world.url("/config"), timeout=TIMEOUT)
    response.raise_for_status()
    return response.json()


def analyse_sentiment(text: str) -> float:
    response = requests.post(world.url("/sentiment"), json={"text": text}, timeout=TIMEOUT)
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
    response = requests.post(world.url("/v1/chat/completions"), json=request, timeout=TIMEOUT)
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
    for order in orders:
        items = database.execute(
            "SELECT product, quantity, price FROM order_items WHERE order_id = ? ORDER BY id", (order["id"],)
        )
        order["items"] = [dict(item) for item in items.fetchall()]
    logger.debug("user %d has %d items", user_id, sum(len(order["items"]) for order in orders))
    return orders


def agent_process_message(user_id: int) -> str:
    logger.info("message of user %d received", user_id)
    with closing(shop.open_database()) as database:
        user = load_user(database, user_id)
        orders = load_orders(database, user_id)

    weather = get_weather(user["city"])
    logger.info("weather in %s: %s", user["city"], weather["forecast"])
    finance = get_finance(user["account"])
    logger.info("balance of account %s: %.2f", user["account"], finance["balance"])
    crm = get_crm(user_id)
    logger.info("user %d is in tier %s", user_id, crm["tier"])

    config = get_config()
    messages = crm["last_messages"][: config["messages_to_read"]]
    logger.debug("reading %d of %d messages", len(messages), len(crm["last_messages"]))
    scores = []
    for message in messages:
        score = analyse_sentiment(message["text"])
        logger.info("sentiment about order %d: %+.2f", message["order"], score)
        scores.append(score)
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
    with world.available():
        logger.setLevel(logging.DEBUG)
        logger.addHandler(RemoteLogHandler(world.url("/logs")))
        for user_id in shop.users_waiting(arguments.runs):
            print(agent_process_message(user_id), flush=True)


if __name__ == "__main__":
    main()
