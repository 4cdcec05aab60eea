"""Pages with a cursor: no page can be asked for before the one that names it."""

import requests
import world

TRUTH = {"dependent": [["page", "page"]], "quick": True}

api = requests.Session()


def before(n: int) -> list[str]:
    rows: list[str] = []
    cursor = ""
    while cursor is not None:
        response = api.get(world.url(f"/pages/list{n}"), params={"cursor": cursor})  # at: page
        response.raise_for_status()
        page = response.json()
        rows.extend(page["rows"])
        cursor = page["next"]
    return rows


if __name__ == "__main__":
    world.main(globals())
