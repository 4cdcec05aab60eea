"""For each order two queries, its items and its sum: a pattern that repeats, not one query."""

import world

TRUTH = {
    "findings": {
        "items": {"rule": "n-plus-one", "at": ["items"]},
        "sums": {"rule": "n-plus-one", "at": ["sum"]},
    },
    "fixes": {"after_in": ["items", "sums"]},
}

shop = world.sqlite(ms=3)


def items_of(order_id):
    return shop.execute("SELECT product FROM items WHERE order_id = ?", [order_id]).fetchall()  # at: items


def sum_of(order_id):
    return shop.execute("SELECT sum(price) FROM items WHERE order_id = ?", [order_id]).fetchone()[0]  # at: sum


def before(n):
    rows = shop.execute("SELECT id FROM orders WHERE user_id = ? ORDER BY id LIMIT 5", [n]).fetchall()
    return [[order_id, len(items_of(order_id)), sum_of(order_id)] for (order_id,) in rows]


def after_in(n):
    rows = shop.execute("SELECT id FROM orders WHERE user_id = ? ORDER BY id LIMIT 5", [n]).fetchall()
    ids = [order_id for (order_id,) in rows]
    which = f"WHERE order_id IN ({', '.join('?' * len(ids))})"
    items = shop.execute(f"SELECT order_id, product FROM items {which}", ids).fetchall()
    sums = dict(shop.execute(f"SELECT order_id, sum(price) FROM items {which} GROUP BY order_id", ids).fetchall())
    return [[order_id, sum(of == order_id for of, _ in items), sums[order_id]] for order_id in ids]


if __name__ == "__main__":
    world.main(globals())
