"""Reads, changes and reads in one transaction: the order is the point of it."""

import psycopg
import world

TRUTH = {"dependent": [["lock", "change"], ["change", "show"]], "needs": ["postgresql"]}

connection = psycopg.connect(world.address("postgresql"), autocommit=True)


def before(n):
    with connection.transaction(force_rollback=True), connection.cursor() as cursor:
        cursor.execute("SELECT name FROM users WHERE id = %s FOR UPDATE", (n,))  # at: lock
        old = cursor.fetchone()
        cursor.execute("UPDATE users SET name = 'x' || name WHERE id = %s", (n,))  # at: change
        cursor.execute("SELECT name FROM users WHERE id = %s", (n,))  # at: show
        new = cursor.fetchone()
    return old, new


if __name__ == "__main__":
    world.main(globals())
