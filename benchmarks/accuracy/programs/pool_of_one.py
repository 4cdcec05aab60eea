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


def query(pool, number):
    with pool.connection() as connection:  # at: connection
        return connection.execute("SELECT %s::int, pg_sleep(0.012)", (number,)).fetchone()[0]


def work(pool, n):
    jobs = [threads.submit(query, pool, 4 * n + i) for i in range(4)]
    return [job.result() for job in jobs]  # at: jobs


def before(n):
    return work(one, n)


def after_four(n):
    return work(four, n)


if __name__ == "__main__":
    world.main(globals())
