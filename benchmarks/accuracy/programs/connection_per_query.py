"""Connects to PostgreSQL for each query."""

import psycopg
import world

TRUTH = {
    "findings": {"connections": {"rule": "new-connection-per-call", "at": ["connect", "name", "orders"]}},
    "fixes": {"after_kept": ["connections"]},
    "dependent": [["name", "orders"]],
    "needs": ["postgresql"],
}

DSN = world.address("postgresql")
kept = psycopg.connect(DSN, autocommit=True)


def query(statement, *parameters):
    with psycopg.connect(DSN, autocommit=True) as connection:  # at: connect
        return connection.execute(statement, parameters).fetchall()


def before(n):
    ((city,),) = query("SELECT city FROM users WHERE id = %s", n)  # at: name
    return query("SELECT count(*) FROM users WHERE city = %s", city)  # at: orders


def after_kept(n):
    city = kept.execute("SELECT city FROM users WHERE id = %s", (n,)).fetchone()[0]
    return kept.execute("SELECT count(*) FROM users WHERE city = %s", (city,)).fetchall()


if __name__ == "__main__":
    world.main(globals())
