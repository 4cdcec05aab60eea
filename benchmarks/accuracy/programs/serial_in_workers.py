"""A pool of threads handles three customers at once, but each worker asks its two services one after the other."""

from concurrent.futures import ThreadPoolExecutor, as_completed

import urllib3
import world

TRUTH = {
    "findings": {"in a worker": {"rule": "serial-calls", "at": ["finance", "crm"], "verdict": "independent"}},
    "fixes": {"after_nested": ["in a worker"]},
}

http = urllib3.PoolManager(maxsize=12)
outer = ThreadPoolExecutor(3, thread_name_prefix="customer")
inner = ThreadPoolExecutor(6, thread_name_prefix="service")


def ask(what, customer):
    return http.request("GET", world.url(f"/{what}/{customer}")).json()["value"]


def customer_report(customer):
    finance = ask("finance", customer)  # at: finance
    crm = ask("crm", customer)  # at: crm
    return customer, finance, crm


def customer_report_together(customer):
    finance, crm = inner.submit(ask, "finance", customer), inner.submit(ask, "crm", customer)
    return customer, finance.result(), crm.result()


def before(n):
    jobs = [outer.submit(customer_report, f"{n}c{i}") for i in range(3)]
    return sorted(job.result() for job in as_completed(jobs))


def after_nested(n):
    jobs = [outer.submit(customer_report_together, f"{n}c{i}") for i in range(3)]
    return sorted(job.result() for job in as_completed(jobs))


if __name__ == "__main__":
    world.main(globals())
