"""Two functions ask one connection of SQLite, which belongs to the thread that made it."""

import world

TRUTH = {"dependent": [["user", "orders"], ["name", "placed"]]}

db = world.sqlite(ms=5)


def name_of(n):
    return db.execute("SELECT name FROM users WHERE id = ?", (n,)).fetchone()[0]  # at: name


def orders_of(n):
    return db.execute("SELECT id, placed FROM orders WHERE user_id = ?", (n,)).fetchall()  # at: placed


def before(n):
    name = name_of(n)  # at: user
    orders = orders_of(n)  # at: orders
    return name, orders


if __name__ == "__main__":
    world.main(globals())
