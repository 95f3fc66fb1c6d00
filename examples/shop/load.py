"""Load for the shop: shoppers that look, search, buy, and read their history.

python -m shop.load --url http://127.0.0.1:8280 --rate 8 [--seconds 60] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
import queue
import random
import sys
import threading
import time
import urllib.error
import urllib.request

PRODUCTS = 1500  # as many as the shop is seeded with
WORDS = "lamp kettle quiet steel velvet clock alpine bicycle linen mug".split()


def one_request(rng: random.Random) -> tuple[str, str, dict | None]:
    """(method, path, JSON body) of a shopper's next step; the same sequence for the same seed."""
    dice = rng.random()
    if dice < 0.30:
        return "GET", "/", None
    if dice < 0.55:
        # one in thirty asks for a product that does not exist
        return "GET", f"/products/{rng.randrange(1, PRODUCTS * 31 // 30)}", None
    if dice < 0.67:
        return "GET", f"/search?q={rng.choice(WORDS)}", None
    if dice < 0.77:
        return "GET", f"/account/{rng.randrange(1, 301)}/orders", None
    if dice < 0.85:
        return "GET", f"/recommendations/{rng.randrange(1, 301)}", None
    items = [
        {"product_id": rng.randrange(1, PRODUCTS + 1), "quantity": rng.randrange(1, 4)}
        for _ in range(rng.randrange(0 if dice > 0.98 else 1, 4))
    ]
    coupon = rng.choice([None, None, None, "WELCOME-10", "SUMMER-25", "SPRING-0"])
    return (
        "POST",
        "/checkout",
        {"customer_id": rng.randrange(1, 301), "items": items, "coupon": coupon},
    )


def send(url: str, step: tuple[str, str, dict | None]) -> int:
    """Sends one step and returns the status, 0 when the shop did not answer."""
    method, path, body = step
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(
        url + path,
        data=data,
        method=method,
        headers={"content-type": "application/json"} if data else {},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as problem:
        problem.read()
        return problem.code
    except OSError:
        return 0


def run(
    url: str, rate: float, seconds: float | None, seed: int, workers: int = 8
) -> dict[int, int]:
    """Sends `rate` requests a second until `seconds` have passed (None: until interrupted); counts by status."""
    rng, steps, counts = random.Random(seed), queue.Queue(workers * 4), {}
    lock = threading.Lock()

    def work() -> None:
        while (step := steps.get()) is not None:
            status = send(url, step)
            with lock:
                counts[status] = counts.get(status, 0) + 1

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    began, sent = time.monotonic(), 0
    try:
        while seconds is None or time.monotonic() - began < seconds:
            due = began + sent / rate
            if due > time.monotonic():
                time.sleep(min(due - time.monotonic(), 0.5))
                continue
            try:
                steps.put(one_request(rng), timeout=1)
            except queue.Full:
                pass  # the shop is slower than the load: drop this step
            sent += 1
    except KeyboardInterrupt:
        pass
    for _ in threads:
        steps.put(None)
    for thread in threads:
        thread.join(20)
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description="Shoppers for the example shop.")
    parser.add_argument(
        "--url", default="http://127.0.0.1:8280", help="the gateway (default %(default)s)"
    )
    parser.add_argument(
        "--rate", type=float, default=8, help="requests a second (default %(default)s)"
    )
    parser.add_argument("--seconds", type=float, help="how long; without it, until interrupted")
    parser.add_argument(
        "--seed", type=int, default=1, help="of the random sequence (default %(default)s)"
    )
    options = parser.parse_args()
    if options.rate <= 0:
        parser.error("--rate must be above 0")
    counts = run(options.url.rstrip("/"), options.rate, options.seconds, options.seed)
    print("answers by status:", dict(sorted(counts.items())))
    return 0 if counts.get(200) else 1


if __name__ == "__main__":
    sys.exit(main())
