"""Coroutines hand the statements of one connection of SQLite to threads, one after the other: it runs one at a time."""

import asyncio

import world

TRUTH = {"dependent": [["user", "orders"]]}

db = world.sqlite(ms=5)


def rows(text, n):
    return db.execute(text, (n,)).fetchall()


async def before(n):
    user = await asyncio.to_thread(rows, "SELECT name FROM users WHERE id = ?", n)  # at: user
    orders = await asyncio.to_thread(rows, "SELECT id, placed FROM orders WHERE user_id = ?", n)  # at: orders
    return user, orders


if __name__ == "__main__":
    world.main(globals())
