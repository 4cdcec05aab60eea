"""The same models loaded eagerly: two queries, and that is all."""

import world
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship
from sqlalchemy.pool import StaticPool

TRUTH = {}


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    items: Mapped[list["Item"]] = relationship()


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    price: Mapped[float]


engine = create_engine("sqlite://", creator=lambda: world.sqlite(ms=12), poolclass=StaticPool)


def before(n):
    with Session(engine) as session:
        query = select(Order).where(Order.user_id == n).options(joinedload(Order.items))
        orders = session.scalars(query).unique().all()
        return sum(item.price for order in orders for item in order.items)


if __name__ == "__main__":
    world.main(globals())
