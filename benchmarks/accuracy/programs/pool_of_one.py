"""Four threads share a pool of one connection: three of them wait for it."""

from concurrent.futures import ThreadPoolExecutor

import psycopg_pool
import world

TRUTH = {
    "findings": {"pool": {"rule": "pool-starved", "at": ["connection", "jobs"]}},
    "fixes": {"after_four": ["pool"]},
    "needs": ["postgresql"],
}

DSN = world.address("postgresql")
one = psycopg_pool.ConnectionPool(DSN, min_size=1, max_size=1, open=True)
four = psycopg_pool.ConnectionPool(DSN, min_size=4, max_size=4, open=True)
four.wait()
threads = ThreadPoolExecutor(4)


def query(pool, statement, *parameters):
    with pool.connection() as connection:  # at: connection
        return connection.execute(statement, parameters).fetchone()[0]


def work(pool, n):
    jobs = [
        threads.submit(query, pool, "SELECT name FROM users, pg_sleep(0.012) WHERE id = %s", n),
        threads.submit(query, pool, "SELECT count(*) FROM orders, pg_sleep(0.012) WHERE user_id = %s", n),
        threads.submit(query, pool, "SELECT max(placed) FROM orders, pg_sleep(0.012) WHERE id < %s", n + 1),
        threads.submit(query, pool, "SELECT min(what) FROM events, pg_sleep(0.012) WHERE id = %s", n),
    ]
    return [job.result() for job in jobs]  # at: jobs


def before(n):
    return work(one, n)


def after_four(n):
    return work(four, n)


if __name__ == "__main__":
    world.main(globals())
