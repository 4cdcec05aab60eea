"""SQLAlchemy, sync and asyncio, above the drivers: one span a statement, at the user's line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from microdelay.spans import Span
from microdelay.traces import Recording

Record = Callable[..., Recording]

MODELS = """
import asyncio, os, threading
from sqlalchemy import ForeignKey, create_engine, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
class Base(DeclarativeBase): pass
class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    items: Mapped[list["Item"]] = relationship()
class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
def fill(engine):
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Order(id=n, items=[Item(id=2 * n), Item(id=2 * n + 1)]) for n in range(1, 5)])
        session.commit()
    engine.dispose()
"""


def named(made: Recording, function: str) -> list[Span]:
    """Give the statements of a function, without their parts and what SQLAlchemy asks of a new connection."""
    return [
        span
        for span in made.spans
        if span.kind == "db"
        and "part" not in span.attributes
        and span.site is not None
        and span.site.function == function
        and ("orders" in span.name or "items" in span.name)
    ]


@pytest.mark.parametrize("url", ["sqlite:///file.db", "postgresql+psycopg://"])
def test_lazy_loads_in_a_loop(recording: Record, postgresql: str, url: str) -> None:
    made = recording(
        MODELS
        + """
def work(engine):
    with Session(engine) as session:
        for order in session.scalars(select(Order).order_by(Order.id)).all():
            for item in order.items:
                item.id
engine = create_engine(os.environ["DSN"])
fill(engine)
work(engine)
""",
        DSN=postgresql.replace("postgresql://", url) if url.endswith("//") else url,
    )
    first, *loads = named(made, "work")
    assert (first.name, first.attributes["microdelay.orm"]) == ("SELECT orders", "sqlalchemy Order")
    assert [span.name for span in loads] == ["SELECT items"] * 4
    assert {span.attributes["microdelay.orm"] for span in loads} == {"sqlalchemy Order.items"}
    assert {span.site.line - first.site.line for span in loads if span.site and first.site} == {1}
    assert len({span.input for span in loads}) == 4
    assert len({span.attributes["connection"] for span in loads}) == 1
    assert not made.warnings


@pytest.mark.parametrize("url", ["sqlite+aiosqlite:///file.db", "postgresql+psycopg://", "postgresql+asyncpg://"])
def test_asyncio(recording: Record, postgresql: str, url: str) -> None:
    pytest.importorskip("greenlet")
    if "aiosqlite" in url:
        pytest.importorskip("aiosqlite")
    made = recording(
        MODELS
        + """
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
async def query(session, number):
    return (await session.scalars(
        select(Order).where(Order.id == number)
    )).all()
async def main():
    engine = create_async_engine(os.environ["DSN"])
    await engine.connect().__aenter__()
    async with AsyncSession(engine) as session:
        for number in range(4): await query(session, number)
    await engine.dispose()
fill(create_engine(os.environ["SYNC"]))
asyncio.run(main())
""",
        DSN=postgresql.replace("postgresql://", url) if url.endswith("//") else url,
        SYNC=postgresql.replace("postgresql://", "postgresql+psycopg://")
        if url.endswith("//")
        else "sqlite:///file.db",
    )
    queries = named(made, "query")
    assert [span.attributes["microdelay.orm"] for span in queries] == ["sqlalchemy Order"] * 4
    assert len({span.input for span in queries}) == 4
    assert len({span.invocation for span in queries}) == 4
    if "aiosqlite" in url:
        joined = {target for targets in made.joins.values() for target in targets}
        assert {span.activity for span in queries} <= joined
    assert not made.warnings


def test_waiting_for_a_pool(recording: Record, postgresql: str) -> None:
    pytest.importorskip("greenlet")
    made = recording(
        MODELS
        + """
from sqlalchemy.ext.asyncio import create_async_engine
def work(engine):
    with engine.connect() as connection: connection.execute(text("select pg_sleep(0.05)"))
async def wait(engine):
    async with engine.connect() as connection: await connection.execute(text("select pg_sleep(0.05)"))
async def main():
    engine = create_async_engine(os.environ["DSN"], pool_size=1, max_overflow=0)
    await asyncio.gather(wait(engine), wait(engine))
    await engine.dispose()
engine = create_engine(os.environ["DSN"], pool_size=1, max_overflow=0)
threads = [threading.Thread(target=work, args=(engine,)) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
asyncio.run(main())
""",
        DSN=postgresql.replace("postgresql://", "postgresql+psycopg://"),
    )
    waits = [span for span in made.spans if span.kind == "pool"]
    assert sorted(span.site.function for span in waits if span.site) == ["wait", "work"]
    assert min(span.duration_ns for span in waits) >= 40_000_000
    assert not [span.name for span in made.spans if span.kind == "queue"]
    assert not made.warnings


def test_drivers_without_a_probe(recording: Record) -> None:
    made = recording(
        MODELS
        + """
import sqlite3
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
class Module:
    connect = staticmethod(lambda path, **options: sqlite3.Connection(path))  # as the probe of sqlite3 does not see it
    __getattr__ = staticmethod(lambda name: getattr(sqlite3, name))
class Other(SQLiteDialect_pysqlite):
    driver = "other"
    supports_statement_cache = True
    import_dbapi = classmethod(lambda cls: Module())
registry.register("sqlite.other", __name__, "Other")
def work(session):
    session.execute(text("select :x"), {"x": "parameter"}).all()
    for order in session.scalars(select(Order)): order.items
    session.connection().exec_driver_sql("insert into orders values (?)", [(10,), (11,)])
    session.commit()
engine = create_engine("sqlite+other:///other.db")
fill(engine)
with Session(engine) as session: work(session)
""",
    )
    # Going back on nothing is a span where a busy machine makes it last.
    statements = [span for span in made.spans if span.kind == "db" and span.name != "ROLLBACK"]
    done = [span for span in statements if span.site and span.site.function == "work"]
    counts = Counter(span.name for span in done)
    assert counts == {"SELECT": 1, "SELECT orders": 1, "SELECT items": 4, "INSERT orders": 1, "COMMIT": 1}
    many = next(span for span in done if span.name == "INSERT orders")
    assert many.attributes["db.operation.batch.size"] == 2
    assert {span.attributes["db.system.name"] for span in done} == {"sqlite"}
    assert len({span.attributes["connection"] for span in done if span.kind == "db"}) == 1
    assert [span.kind for span in made.spans if span.kind == "connect"]
    assert not made.warnings
