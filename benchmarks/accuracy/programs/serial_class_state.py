"""A view object that loads its parts in methods, each into an attribute of its own."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import world

TRUTH = {
    "findings": {"parts": {"rule": "serial-calls", "at": ["header", "sidebar", "body"], "verdict": "independent"}},
    "fixes": {"after_submitted": ["parts"]},
}

client = httpx.Client(base_url=world.url())
executor = ThreadPoolExecutor(max_workers=3)


class Page:
    def __init__(self, number: int) -> None:
        self.number = number
        self.header = self.sidebar = self.body = ""

    def load_header(self) -> None:
        self.header = client.get(f"/quick/header{self.number}").json()["value"]

    def load_sidebar(self) -> None:
        self.sidebar = client.get(f"/crm/{self.number}").json()["value"]

    def load_body(self) -> None:
        self.body = client.get(f"/history/{self.number}").json()["value"]

    def load(self) -> None:
        self.load_header()  # at: header
        self.load_sidebar()  # at: sidebar
        self.load_body()  # at: body

    def load_together(self) -> None:
        parts = self.load_header, self.load_sidebar, self.load_body
        for loaded in [executor.submit(part) for part in parts]:
            loaded.result()

    def render(self) -> str:
        return f"{self.header}|{self.sidebar}|{self.body}"


def before(n: int) -> str:
    page = Page(n)
    page.load()
    return page.render()


def after_submitted(n: int) -> str:
    page = Page(n)
    page.load_together()
    return page.render()


if __name__ == "__main__":
    world.main(globals())
