"""What the support agents share: the shop's database, the prompt and the decision. All of it is deterministic."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATABASE_VARIABLE = "SUPPORT_DB"
BUILD_DIRECTORY = Path(__file__).resolve().parents[2] / "build" / "support_agent"

USERS = 2_000
ORDERS_PER_USER = (10, 14)
ITEMS_PER_ORDER = (3, 7)
SEED = 20_240_601

# order_items has no index on order_id: nobody missed it while the table was small.
SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, city TEXT, account TEXT);
CREATE TABLE orders (id INTEGER PRIMARY KEY, user_id INTEGER, placed_on TEXT);
CREATE INDEX orders_of_user ON orders (user_id);
CREATE TABLE order_items (id INTEGER PRIMARY KEY, order_id INTEGER, product TEXT, quantity INTEGER, price REAL);
"""

# As many as the default run has users, and more: no two of its messages ask for the same weather.
CITY_NAMES = (
    "Amsterdam Antwerp Athens Barcelona Basel Bergen Berlin Bilbao Bologna Bordeaux Bremen Bristol Brno Bruges Cardiff "
    "Cologne Dresden Dublin Florence Geneva Genoa Ghent Graz Hamburg Helsinki Krakow Leipzig Lille Lisbon Lyon Malaga "
    "Malmo Milan Munich Nantes Naples Oslo Porto Prague Riga Rome Rotterdam Seville Tallinn Turin Utrecht Vienna Zurich"
)
CITIES = CITY_NAMES.split()
NAMES = ("Ada", "Bela", "Chloe", "Dario", "Emil", "Fatima", "Goran", "Hana", "Ines", "Jonas")
PRODUCTS = ("kettle", "lamp", "rug", "chair", "clock", "mirror", "shelf", "teapot", "blanket", "vase")


# --------------------------------------------------------------------------------------------------- the database


def database_path() -> Path:
    """SUPPORT_DB, or a file under build/ that is kept from run to run."""
    named = os.environ.get(DATABASE_VARIABLE)
    return Path(named) if named else BUILD_DIRECTORY / f"shop-{USERS}.sqlite3"


def open_database() -> sqlite3.Connection:
    """A connection to the shop's database, whose rows are read by name."""
    database = sqlite3.connect(database_path())
    database.row_factory = sqlite3.Row
    return database


def prepare_database() -> None:
    """Builds the shop's database unless it is there."""
    path = database_path()
    if not path.exists():
        build_database(path)


def build_database(path: Path) -> None:
    """Builds the database beside its place and moves it there when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    dice = random.Random(SEED)
    users: list[tuple[Any, ...]] = []
    orders: list[tuple[Any, ...]] = []
    items: list[tuple[Any, ...]] = []
    for user_id in range(1, USERS + 1):
        city = CITIES[user_id % len(CITIES)]
        users.append((user_id, dice.choice(NAMES), city, f"AC-{user_id:06}"))
        for _ in range(dice.randint(*ORDERS_PER_USER)):
            orders.append((len(orders) + 1, user_id, f"2024-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}"))
            for _ in range(dice.randint(*ITEMS_PER_ORDER)):
                price = dice.randint(300, 9_900) / 100
                items.append((len(orders), dice.choice(PRODUCTS), dice.randint(1, 3), price))
    with closing(sqlite3.connect(unfinished)) as database, database:
        database.executescript(SCHEMA)
        database.executemany("INSERT INTO users VALUES (?, ?, ?, ?)", users)
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", orders)
        database.executemany("INSERT INTO order_items VALUES (NULL, ?, ?, ?, ?)", items)
    unfinished.replace(path)


def users_waiting(count: int) -> list[int]:
    """The users whose messages wait for an answer."""
    return [1 + index % USERS for index in range(count)]


# -------------------------------------------------------------------------------------- the prompt and the decision


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that is known about the customer whose message waits."""

    user: Mapping[str, Any]
    orders: Sequence[Mapping[str, Any]]
    weather: Mapping[str, Any]
    finance: Mapping[str, Any]
    crm: Mapping[str, Any]
    sentiment: float  # -1 (angry) to 1 (happy)


def order_total(order: Mapping[str, Any]) -> float:
    return sum(item["quantity"] * item["price"] for item in order["items"])


def build_prompt(case: Case) -> str:
    """The case in words, for the LLM."""
    lines = [
        f"Customer {case.user['name']} in {case.user['city']}, tier {case.crm['tier']}.",
        f"Sentiment of the last messages: {case.sentiment:+.2f}.",
        f"Balance {case.finance['balance']:.2f} EUR, {case.finance['open_invoices']} open invoices.",
        f"Weather on the delivery route: {case.weather['forecast']}, wind {case.weather['wind_kmh']} km/h.",
        "Last orders:",
        *(f"- {order['id']} of {order['placed_on']}: {order_total(order):.2f} EUR" for order in case.orders),
        "Last messages:",
        *(f"- {message['text']}" for message in case.crm["last_messages"]),
        "Suggest one of refund, voucher, replacement, apology, and write the answer to the customer.",
    ]
    return "\n".join(lines)


def decide(case: Case, suggestion: str, config: Mapping[str, Any]) -> str:
    """What is done for the customer, in one line: the LLM suggests, the thresholds of the configuration decide."""
    action, _, _ = suggestion.partition(":")
    if case.sentiment < config["escalate_below"] and case.crm["tier"] == "gold":
        decision = "escalate to a person"
    elif action == "refund":
        decision = f"refund {min(order_total(case.orders[0]), config['refund_limit']):.2f} EUR"
    elif action == "voucher":
        spent = sum(order_total(order) for order in case.orders)
        decision = f"voucher of {config['voucher_share'] * spent / len(case.orders):.2f} EUR"
    else:
        decision = action
    user = case.user
    return f"user {user['id']} ({user['name']}, {user['city']}, sentiment {case.sentiment:+.2f}): {decision}"
