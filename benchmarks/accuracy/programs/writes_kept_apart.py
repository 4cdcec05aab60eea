"""Loops of writes that may not be one: a stock read before it is changed, a message kept before it is sent, ids."""

import psycopg
import requests
import world

TRUTH = {"findings": {}, "fixes": {}, "needs": ["postgresql"], "dependent": [["read", "write"]]}

session = requests.Session()
shop = psycopg.connect(world.address("postgresql"), autocommit=True)
for table in ("stock", "outbox", "parcels"):
    shop.execute(f"DROP TABLE IF EXISTS {table}")
shop.execute("CREATE TABLE stock (product int, amount int)")
shop.execute("INSERT INTO stock SELECT i, 1000 FROM generate_series(0, 9) i")
shop.execute("CREATE TABLE outbox (customer int, part int)")
shop.execute("CREATE TABLE parcels (id serial, customer int, part int)")


def take(product, amount):
    left = shop.execute("SELECT amount FROM stock WHERE product = %s", [product]).fetchone()[0]  # at: read
    shop.execute("UPDATE stock SET amount = %s WHERE product = %s", [left - amount, product])  # at: write


def tell(n, part):
    shop.execute("INSERT INTO outbox VALUES (%s, %s)", [n, part])
    session.post(world.url("/orders"), json={"user": n, "part": part})


def pack(n, part):
    made = shop.execute("INSERT INTO parcels (customer, part) VALUES (%s, %s) RETURNING id", [n, part])
    return made.fetchone()[0]


def before(n):
    for amount in range(4):
        take(3, amount)
    for part in range(3):
        tell(n, part)
    numbers = [pack(n, part) for part in range(3)]
    return len(numbers)


if __name__ == "__main__":
    world.main(globals())
