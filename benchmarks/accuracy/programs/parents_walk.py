"""Walks from employee to manager to the top: each query is made of the row before, so no single IN can replace them."""

import world

TRUTH = {"dependent": [["up", "up"]]}

db = world.sqlite(ms=4)


def before(n):
    chain = []
    employee = 32 + n
    while employee:
        name, manager = db.execute("SELECT name, manager_id FROM users WHERE id = ?", (employee,)).fetchone()  # at: up
        chain.append(name)
        employee = manager
    return " < ".join(chain)


if __name__ == "__main__":
    world.main(globals())
