"""One row is looked for in all of a table (slow), or in an index (near)."""

import sqlite3
import sys

import microdelay

service, mode = sys.argv[1:3]
database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, total REAL)")
made = ((each, f"customer {each}", each / 3) for each in range(300_000))
database.executemany("INSERT INTO orders VALUES (?, ?, ?)", made)
if mode == "near":
    database.execute("CREATE INDEX by_customer ON orders (customer)")


@microdelay.trace
def handle(number: int) -> float:
    customer = f"customer {number}"
    rows = database.execute("SELECT id, total FROM orders WHERE customer = ?", (customer,)).fetchall()  # found
    order = database.execute("SELECT total FROM orders WHERE id = ?", (rows[0][0],)).fetchone()
    return order[0]


for number in range(8):
    handle(number)
