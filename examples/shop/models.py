"""Tables of the order service, and the data they are seeded with."""

from __future__ import annotations

import datetime as dt
import random

from sqlalchemy import ForeignKey, String, create_engine, event, func, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

PRODUCTS = 1500
ADJECTIVES = (
    "Quiet Amber Steel Coastal Nordic Velvet Copper Solar Alpine Urban Linen Walnut".split()
)
NOUNS = (
    "Kettle Lamp Notebook Backpack Chair Mug Blanket Speaker Bicycle Planter Clock Jacket".split()
)
CITIES = "Lisbon Oslo Vienna Zürich Kraków Porto Gdańsk Lyon Malmö Tartu".split()
NAMES = "Ada Björn Chiara Dmitri Elif Farid Grete Hana Ivo Jonas Kaja Łucja Mateo Noor Olga Priya".split()


class Base(DeclarativeBase):
    pass


class Product(Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    description: Mapped[str]
    price_cents: Mapped[int]
    stock: Mapped[int]


class Customer(Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(80))
    email: Mapped[str] = mapped_column(String(120))
    city: Mapped[str] = mapped_column(String(40))
    orders: Mapped[list[Order]] = relationship(back_populates="customer")


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"), index=True)
    placed_at: Mapped[dt.datetime]
    total_cents: Mapped[int]
    customer: Mapped[Customer] = relationship(back_populates="orders")
    items: Mapped[list[OrderItem]] = relationship(back_populates="order")


class OrderItem(Base):
    __tablename__ = "order_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    order_id: Mapped[int] = mapped_column(ForeignKey("orders.id"), index=True)
    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"))
    quantity: Mapped[int]
    order: Mapped[Order] = relationship(back_populates="items")
    product: Mapped[Product] = relationship()


def open_engine(path: str) -> Engine:
    """An engine on the SQLite file `path`, set up for several threads and processes."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 15})

    @event.listens_for(engine, "connect")
    def _pragmas(connection, _record):  # runs for every new connection of the pool
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.close()

    return engine


def seed(
    engine: Engine, products: int = PRODUCTS, customers: int = 300, orders: int = 6000
) -> bool:
    """Creates the tables and fills them when they are empty; the same data every time. Returns whether it did."""
    Base.metadata.create_all(engine)
    rng = random.Random(8272)
    with Session(engine) as session:
        if session.scalar(select(func.count()).select_from(Product)):
            return False
        for i in range(1, products + 1):
            name = f"{rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} {i}"
            text = f"{name}: " + " ".join(rng.choices(ADJECTIVES + NOUNS, k=60)).lower()
            session.add(
                Product(
                    id=i,
                    name=name,
                    description=text,
                    price_cents=rng.randrange(499, 19900),
                    stock=rng.randrange(0, 500),
                )
            )
        for i in range(1, customers + 1):
            first = rng.choice(NAMES)
            session.add(
                Customer(
                    id=i,
                    name=f"{first} {i}",
                    email=f"customer{i}@example.com",
                    city=rng.choice(CITIES),
                )
            )
        session.flush()
        start = dt.datetime(2026, 1, 1)
        for i in range(1, orders + 1):
            order = Order(
                id=i,
                customer_id=rng.randrange(1, customers + 1),
                placed_at=start + dt.timedelta(minutes=37 * i),
                total_cents=0,
            )
            for _ in range(rng.randrange(1, 5)):
                order.items.append(
                    OrderItem(
                        product_id=rng.randrange(1, products + 1), quantity=rng.randrange(1, 4)
                    )
                )
            order.total_cents = 1990 * len(order.items)
            session.add(order)
        session.commit()
    return True
