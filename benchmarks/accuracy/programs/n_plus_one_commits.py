"""Writes rows one by one, and commits each."""

import psycopg
import world

TRUTH = {
    "findings": {"rows": {"rule": "n-plus-one", "at": ["insert"]}},
    "fixes": {"after_one_transaction": ["rows"]},
    "needs": ["postgresql"],
}

INSERT = "INSERT INTO measurements VALUES (%s, %s)"

with psycopg.connect(world.address("postgresql")) as first:
    first.execute("DROP TABLE IF EXISTS measurements")
    first.execute("CREATE TABLE measurements (sensor int, value int)")

kept = psycopg.connect(world.address("postgresql"))


def keep(sensor, value):
    kept.execute(INSERT, [sensor, value])  # at: insert
    kept.commit()


def before(n):
    for value in range(6):
        keep(n, value)
    return n


def after_one_transaction(n):
    kept.cursor().executemany(INSERT, [[n, value] for value in range(6)])
    kept.commit()
    return n


if __name__ == "__main__":
    world.main(globals())
