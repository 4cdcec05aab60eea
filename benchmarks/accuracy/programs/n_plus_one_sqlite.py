"""One query for the orders, then one for the items of each order."""

import world

TRUTH = {
    "findings": {"items": {"rule": "n-plus-one", "at": ["items"]}},
    "fixes": {"after_in": ["items"]},
    "quick": True,
}

db = world.sqlite(ms=4)


def before(user_id):
    orders = db.execute("SELECT id, placed FROM orders WHERE user_id = ? ORDER BY id", (user_id,)).fetchall()
    basket = []
    for order_id, placed in orders:
        rows = db.execute("SELECT product, price FROM items WHERE order_id = ? ORDER BY id", (order_id,))  # at: items
        basket.append([placed, *rows.fetchall()])
    return basket


def after_in(user_id):
    orders = db.execute("SELECT id, placed FROM orders WHERE user_id = ? ORDER BY id", (user_id,)).fetchall()
    marks = ", ".join("?" * len(orders))
    rows = db.execute(
        f"SELECT order_id, product, price FROM items WHERE order_id IN ({marks}) ORDER BY id", [o[0] for o in orders]
    ).fetchall()
    return [[placed, *((p, c) for o, p, c in rows if o == order_id)] for order_id, placed in orders]


if __name__ == "__main__":
    world.main(globals())
