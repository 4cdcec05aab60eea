"""Writes the lines of an order row by row."""

import psycopg
import world

TRUTH = {
    "findings": {"lines": {"rule": "n-plus-one", "at": ["insert"]}},
    "fixes": {"after_many": ["lines"]},
    "needs": ["postgresql"],
}

shop = psycopg.connect(world.address("postgresql"), autocommit=True)
shop.execute("DROP TABLE IF EXISTS order_lines")
shop.execute("CREATE TABLE order_lines (order_id int, product text, amount int)")


def lines_of(n):
    return [(n, f"product {each}", each) for each in range(8)]


def before(n):
    with shop.transaction():
        for line in lines_of(n):
            shop.execute("INSERT INTO order_lines VALUES (%s, %s, %s)", line)  # at: insert
    return len(lines_of(n))


def after_many(n):
    with shop.transaction():
        shop.cursor().executemany("INSERT INTO order_lines VALUES (%s, %s, %s)", lines_of(n))
    return len(lines_of(n))


if __name__ == "__main__":
    world.main(globals())
