"""A shop's backend: FastAPI, SQLAlchemy, PostgreSQL, Redis, and two services of other teams."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, HTTPException, Request
from models import Customer, Item, Order, Product
from redis.asyncio import Redis
from schemas import CartLine, Checkout, ItemOut, OrderOut, ProductOut, Receipt
from sqlalchemy import create_engine, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

PRICE_SECONDS = 60
CART_SIZE = 8


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    engine = create_async_engine(os.environ["SHOP_DATABASE"], pool_size=3, max_overflow=0)
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    app.state.reports = create_engine(os.environ["SHOP_REPORTS"], pool_size=2)
    app.state.cache = Redis.from_url(os.environ["SHOP_CACHE"], decode_responses=True)
    app.state.http = httpx.AsyncClient(timeout=10)
    yield
    await app.state.http.aclose()
    await app.state.cache.aclose()
    app.state.reports.dispose()
    await engine.dispose()


app = FastAPI(title="shop", lifespan=lifespan)


async def session_of(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


def report_session(request: Request) -> Iterator[Session]:
    with Session(request.app.state.reports) as session:
        yield session


def cache_of(request: Request) -> Redis:
    return request.app.state.cache


Database = Annotated[AsyncSession, Depends(session_of)]
Reports = Annotated[Session, Depends(report_session)]
Cache = Annotated[Redis, Depends(cache_of)]


@app.get("/customers/{customer_id}/orders")
async def list_orders(customer_id: int, database: Database) -> list[OrderOut]:
    customer = await database.get(Customer, customer_id)
    if customer is None:
        raise HTTPException(404, "no such customer")
    return [await order_out(order) for order in await customer.awaitable_attrs.orders]


async def order_out(order: Order) -> OrderOut:
    items = []
    for item in await order.awaitable_attrs.items:
        product = await item.awaitable_attrs.product
        items.append(ItemOut(product=product.name, quantity=item.quantity, cents=product.cents))
    return OrderOut(id=order.id, status=order.status, items=items)


@app.get("/customers/{customer_id}/cart")
async def show_cart(customer_id: int, database: Database, cache: Cache) -> list[CartLine]:
    lines = []
    for position in range(CART_SIZE):
        product_id = 1 + (customer_id * 31 + position * 7) % 300
        quantity = int(await cache.get(f"cart:{customer_id}:{product_id}") or 1)
        lines.append(
            CartLine(product_id=product_id, quantity=quantity, cents=await price_of(product_id, database, cache))
        )
    return lines


async def price_of(product_id: int, database: AsyncSession, cache: Redis) -> int:
    known = await cache.get(f"price:{product_id}")
    if known is not None:
        return int(known)
    cents = (await database.execute(select(Product.cents).where(Product.id == product_id))).scalar_one()
    await cache.set(f"price:{product_id}", cents, ex=PRICE_SECONDS)
    return cents


@app.post("/checkout")
async def check_out(order: Checkout, request: Request, database: Database, cache: Cache) -> Receipt:
    cents = 0
    for product_id in order.product_ids:
        answer = await request.app.state.http.get(f"{os.environ['SHOP_STOCK']}/stock/{product_id}")
        if answer.json()["left"] < 1:
            raise HTTPException(409, "sold out")
        cents += await price_of(product_id, database, cache)
    async with httpx.AsyncClient(timeout=10) as client:
        quote = await client.post(f"{os.environ['SHOP_SHIPPING']}/quotes", json={"parcels": len(order.product_ids)})
    placed = Order(customer_id=order.customer_id, status="placed")
    placed.items = [Item(product_id=product_id, quantity=1) for product_id in order.product_ids]
    database.add(placed)
    await database.commit()
    for product_id in order.product_ids:
        await cache.delete(f"cart:{order.customer_id}:{product_id}")
    return Receipt(cents=cents, days=quote.json()["days"])


@app.get("/products")
async def list_products(database: Database, cache: Cache) -> list[ProductOut]:
    kept = await cache.get("products")
    if kept is None:
        products = (await database.scalars(select(Product).order_by(Product.id))).all()
        kept = json.dumps([ProductOut.model_validate(product).model_dump() for product in products])
        await cache.set("products", kept, ex=PRICE_SECONDS)
    return [ProductOut.model_validate(each) for each in json.loads(kept)]


@app.get("/reports/turnover")
def turnover(reports: Reports, customer_from: int = 1, customer_to: int = 10) -> dict[str, int]:
    sums: dict[str, int] = {}
    customers = reports.scalars(select(Customer).where(Customer.id.between(customer_from, customer_to)))
    for customer in customers.all():
        for order in customer.orders:
            cents = sum(item.quantity * item.product.cents for item in order.items)
            sums[customer.city] = sums.get(customer.city, 0) + cents
    return sums
