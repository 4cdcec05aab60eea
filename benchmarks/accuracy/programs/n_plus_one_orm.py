"""Lazy loading: the loop over a user's orders loads the items of each when they are looked at."""

import world
from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload
from sqlalchemy.pool import StaticPool

TRUTH = {
    "findings": {"items": {"rule": "n-plus-one", "at": ["lazy"]}},
    "fixes": {"after_selectin": ["items"]},
}


class Base(DeclarativeBase):
    pass


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int]
    items: Mapped[list["Item"]] = relationship(order_by="Item.id")


class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"))
    product: Mapped[str]
    price: Mapped[float]


engine = create_engine("sqlite://", creator=lambda: world.sqlite(ms=5), poolclass=StaticPool)


def before(n):
    with Session(engine) as session:
        total = 0.0
        for order in session.scalars(select(Order).where(Order.user_id == n)):
            total += sum(item.price for item in order.items)  # at: lazy
        return total


def after_selectin(n):
    with Session(engine) as session:
        orders = select(Order).where(Order.user_id == n).options(selectinload(Order.items))
        return sum((sum(item.price for item in order.items) for order in session.scalars(orders)), 0.0)


if __name__ == "__main__":
    world.main(globals())
