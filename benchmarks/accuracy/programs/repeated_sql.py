"""The settings are read from the database wherever one of them is needed."""

import world

TRUTH = {
    "findings": {"settings": {"rule": "repeated-call", "at": ["settings", "tax", "currency", "rounding"]}},
    "fixes": {"after_read_once": ["settings"]},
}

db = world.sqlite(ms=6)

_KNOWN = {}


def settings():
    rows = db.execute("SELECT id, name FROM users WHERE id < 4").fetchall()  # at: settings
    return dict(rows)


def price(n):
    return db.execute("SELECT sum(price) FROM items WHERE order_id = ?", (n,)).fetchone()[0]


def before(n):
    tax = settings()[1]  # at: tax
    total = price(n)
    currency = settings()[2]  # at: currency
    rounding = settings()[3]  # at: rounding
    return total, tax, currency, rounding


def after_read_once(n, known=_KNOWN):
    if not known:
        known.update(settings())
    return price(n), known[1], known[2], known[3]


if __name__ == "__main__":
    world.main(globals())
