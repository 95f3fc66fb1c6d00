"""The gateway: FastAPI, calls the order service over HTTP.

SHOP_ORDERS=http://127.0.0.1:8281 varan run --service gateway -- uvicorn --port 8280 shop.gateway:app
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time

import httpx
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from . import faults

logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s %(message)s")
logging.getLogger("httpx").setLevel(logging.WARNING)
log = logging.getLogger("shop.gateway")

ORDERS = os.environ.get("SHOP_ORDERS", "http://127.0.0.1:8281")


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI):
    async with httpx.AsyncClient(base_url=ORDERS, timeout=10) as client:
        app.state.orders = client
        log.info("the gateway serves, orders are at %s", ORDERS)
        yield


app = FastAPI(title="shop gateway", lifespan=lifespan)


async def ask(method: str, path: str, **options):
    """One call of the order service; its errors become the gateway's."""
    try:
        answer = await app.state.orders.request(method, path, **options)
    except httpx.TimeoutException:
        log.error("the order service did not answer %s %s in time", method, path)
        raise HTTPException(504, "the order service is too slow") from None
    except httpx.TransportError as problem:
        log.error("the order service cannot be reached: %s", problem)
        raise HTTPException(502, "the order service cannot be reached") from None
    if answer.status_code >= 500:
        log.error("the order service answered %d to %s %s", answer.status_code, method, path)
        raise HTTPException(502, "the order service failed")
    if answer.status_code >= 400:
        raise HTTPException(
            answer.status_code, answer.json() if answer.is_success else answer.text[:200]
        )
    return answer.json()


@app.get("/")
async def home():
    products, best = await asyncio.gather(ask("GET", "/products"), ask("GET", "/bestsellers"))
    return {"products": products, "bestsellers": best}


@app.get("/products/{product_id}")
async def product(product_id: int):
    return await ask("GET", f"/products/{product_id}")


@app.get("/search")
async def search(q: str):
    return await ask("GET", "/search", params={"q": q})


@app.get("/account/{customer_id}/orders")
async def account_orders(customer_id: int):
    return await ask("GET", f"/customers/{customer_id}/history")


@app.post("/checkout", status_code=201)
async def checkout(request: Request):
    body = await request.json()
    if not body.get("items"):
        log.warning("checkout with an empty cart by customer %s", body.get("customer_id"))
        raise HTTPException(422, "the cart is empty")
    order = await ask("POST", "/orders", json=body)
    log.info("checkout done: order %d", order["id"])
    return order


@app.get("/recommendations/{customer_id}")
async def recommendations(customer_id: int):
    best = await ask("GET", "/bestsellers")
    if faults.active("blocking"):
        time.sleep(0.12)  # the seeded fault: blocks every request of this event loop
    else:
        await asyncio.sleep(0.002)
    return sorted(best, key=lambda product: hash((customer_id, product["id"])))[:3]


@app.get("/healthz")
async def healthz():
    return "ok"


@app.put("/admin/faults")
async def admin_faults(request: Request):
    try:
        return faults.switch(dict(request.query_params))
    except ValueError as problem:
        return JSONResponse({"error": str(problem)}, 400)
