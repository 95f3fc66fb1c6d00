"""The order service: Flask with SQLAlchemy on SQLite.

SHOP_DATABASE=shop.db varan run --service orders -- gunicorn -b 127.0.0.1:8281 shop.orders:app
"""

from __future__ import annotations

import datetime as dt
import logging
import os

from flask import Flask, abort, jsonify, request
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, selectinload

from . import faults
from .models import Customer, Order, OrderItem, Product, open_engine

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
log = logging.getLogger("shop.orders")

COUPONS = {"WELCOME-10": 10, "SUMMER-25": 25, "SPRING-0": 0}
SHIPPING_FREE_CENTS = 5000

engine = open_engine(os.environ.get("SHOP_DATABASE", "shop.db"))
app = Flask(__name__)


def product_json(product: Product) -> dict:
    return {
        "id": product.id,
        "name": product.name,
        "price_cents": product.price_cents,
        "stock": product.stock,
    }


@app.get("/products")
def list_products():
    page = request.args.get("page", 1, type=int)
    with Session(engine) as session:
        rows = session.scalars(
            select(Product).order_by(Product.id).offset((page - 1) * 20).limit(20)
        )
        return jsonify([product_json(row) for row in rows])


@app.get("/products/<int:product_id>")
def one_product(product_id: int):
    with Session(engine) as session:
        product = session.get(Product, product_id)
        if product is None:
            log.warning("product %d was asked for but does not exist", product_id)
            abort(404)
        return jsonify(product_json(product))


@app.get("/search")
def search():
    """Finds products by a word; the slow query scans the descriptions once for every product found."""
    word = request.args.get("q", "").lower()
    with Session(engine) as session:
        if faults.active("slow_query"):
            rows = session.execute(
                text(
                    "SELECT p.id, p.name, p.price_cents, "
                    "(SELECT count(*) FROM products q WHERE q.description LIKE '%' || :word || '%' "
                    "AND q.price_cents <= p.price_cents) AS rank "
                    "FROM products p WHERE p.description LIKE '%' || :word || '%' ORDER BY rank LIMIT 40"
                ),
                {"word": word + " lamp"},
            ).all()
        else:
            rows = session.execute(
                select(Product.id, Product.name, Product.price_cents)
                .where(Product.name.ilike(f"{word}%"))
                .order_by(Product.price_cents)
                .limit(40)
            ).all()
        log.info("search %r found %d products", word, len(rows))
        return jsonify(
            [{"id": row.id, "name": row.name, "price_cents": row.price_cents} for row in rows]
        )


@app.get("/customers/<int:customer_id>/history")
def history(customer_id: int):
    """All orders of a customer with their items."""
    with Session(engine) as session:
        customer = session.get(Customer, customer_id)
        if customer is None:
            abort(404)
        query = (
            select(Order).where(Order.customer_id == customer_id).order_by(Order.placed_at.desc())
        )
        if not faults.active("n_plus_one"):
            query = query.options(selectinload(Order.items).selectinload(OrderItem.product))
        orders = session.scalars(query).all()
        answer = []
        for order in orders:
            lines = [
                {"product": item.product.name, "quantity": item.quantity} for item in order.items
            ]
            answer.append(
                {"id": order.id, "placed_at": order.placed_at.isoformat(), "items": lines}
            )
        log.info("history of customer %d: %d orders", customer_id, len(orders))
        return jsonify({"customer": customer.name, "orders": answer})


def discount_cents(total_cents: int, coupon: str) -> int:
    """What the coupon takes off."""
    percent = COUPONS[coupon]
    if percent == 0 and not faults.active("exception"):
        return 0
    share = 100 / percent
    return int(total_cents / share)


@app.post("/orders")
def place_order():
    body = request.get_json(force=True)
    customer_id, coupon = int(body["customer_id"]), body.get("coupon")
    with Session(engine) as session:
        total = 0
        order = Order(customer_id=customer_id, placed_at=dt.datetime.now(), total_cents=0)
        for line in body["items"]:
            product = session.get(Product, int(line["product_id"]))
            if product is None:
                abort(422, f"there is no product {line['product_id']}")
            quantity = int(line["quantity"])
            if product.stock < quantity:
                log.warning(
                    "product %d is short: %d wanted, %d left", product.id, quantity, product.stock
                )
            product.stock = max(product.stock - quantity, 0) or 500
            total += product.price_cents * quantity
            order.items.append(OrderItem(product_id=product.id, quantity=quantity))
        if coupon:
            total -= discount_cents(total, coupon)
        order.total_cents = total if total >= SHIPPING_FREE_CENTS else total + 490
        session.add(order)
        session.commit()
        log.info(
            "order %d placed by customer %d: %.2f EUR",
            order.id,
            customer_id,
            order.total_cents / 100,
        )
        return jsonify({"id": order.id, "total_cents": order.total_cents}), 201


@app.get("/bestsellers")
def bestsellers():
    with Session(engine) as session:
        rows = session.execute(
            select(Product.id, Product.name, func.sum(OrderItem.quantity).label("sold"))
            .join(OrderItem, OrderItem.product_id == Product.id)
            .where(OrderItem.id > select(func.max(OrderItem.id) - 500).scalar_subquery())
            .group_by(Product.id)
            .order_by(text("sold DESC"))
            .limit(5)
        ).all()
        return jsonify([{"id": row.id, "name": row.name, "sold": row.sold} for row in rows])


@app.get("/healthz")
def healthz():
    return "ok"


@app.put("/admin/faults")
def admin_faults():
    try:
        return jsonify(faults.switch(request.args.to_dict()))
    except ValueError as problem:
        abort(400, str(problem))
