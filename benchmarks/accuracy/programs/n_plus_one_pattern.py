"""For each order two queries, its items and its sum: a pattern that repeats, not one query."""

import world

TRUTH = {
    "findings": {
        "items": {"rule": "n-plus-one", "at": ["items"]},
        "sums": {"rule": "n-plus-one", "at": ["sum"]},
    },
    "fixes": {"after_grouped": ["items", "sums"]},
}

shop = world.sqlite(ms=3)


def items_of(order_id):
    return shop.execute("SELECT product FROM items WHERE order_id = ?", [order_id]).fetchall()  # at: items


def sum_of(order_id):
    return shop.execute("SELECT sum(price) FROM items WHERE order_id = ?", [order_id]).fetchone()[0]  # at: sum


def before(n):
    rows = shop.execute("SELECT id FROM orders WHERE user_id = ? ORDER BY id LIMIT 5", [n]).fetchall()
    return [[order_id, len(items_of(order_id)), sum_of(order_id)] for (order_id,) in rows]


def after_grouped(n):
    rows = shop.execute(
        "SELECT order_id, count(*), sum(price) FROM items WHERE order_id IN"
        " (SELECT id FROM orders WHERE user_id = ? ORDER BY id LIMIT 5) GROUP BY order_id ORDER BY order_id",
        [n],
    )
    return [list(row) for row in rows.fetchall()]


if __name__ == "__main__":
    world.main(globals())
