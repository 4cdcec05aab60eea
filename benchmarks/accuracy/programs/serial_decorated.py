"""Behind a decorator that retries, and in another function each: the two look-ups still do not need each other."""

import functools
import time
from concurrent.futures import ThreadPoolExecutor

import requests
import world

TRUTH = {
    "findings": {"look-ups": {"rule": "serial-calls", "at": ["limits", "terms"], "verdict": "independent"}},
    "fixes": {"after_together": ["look-ups"]},
}

session = requests.Session()
pool = ThreadPoolExecutor(2)


def retried(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        for attempt in range(3):
            try:
                return function(*args, **kwargs)
            except requests.ConnectionError:
                time.sleep(0.1 * 2**attempt)
        return function(*args, **kwargs)

    return wrapper


@retried
def credit_limit(customer: str) -> str:
    return session.get(world.url(f"/finance/{customer}")).json()["value"]


@retried
def payment_terms(customer: str) -> str:
    return session.get(world.url(f"/crm/{customer}")).json()["value"]


def before(n):
    limit = credit_limit(f"c{n}")  # at: limits
    terms = payment_terms(f"c{n}")  # at: terms
    return {"limit": limit, "terms": terms}


def after_together(n):
    limit = pool.submit(credit_limit, f"c{n}")
    terms = pool.submit(payment_terms, f"c{n}")
    return {"limit": limit.result(), "terms": terms.result()}


if __name__ == "__main__":
    world.main(globals())
