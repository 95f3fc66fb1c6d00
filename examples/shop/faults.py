"""The shop's faults, each a switch.

SHOP_FAULTS names those that are on, separated by commas ("all" and "none" work); all are on by default.
At run time: `curl -X PUT 'http://127.0.0.1:8281/admin/faults?n_plus_one=off'` (each service has its own).
"""

from __future__ import annotations

import os

DESCRIPTIONS = {
    "n_plus_one": "the order history loads every item of every order with a query of its own",
    "slow_query": "the product search scans a table without an index, with a pattern that begins with %",
    "exception": "a checkout with the coupon SPRING-0 divides by zero",
    "blocking": "the recommendations block the event loop with time.sleep",
}


def _from_environment() -> set[str]:
    text = os.environ.get("SHOP_FAULTS", "all").strip()
    if text == "all":
        return set(DESCRIPTIONS)
    names = {part.strip() for part in text.split(",") if part.strip() and part.strip() != "none"}
    unknown = names - set(DESCRIPTIONS)
    if unknown:
        raise SystemExit(
            f"SHOP_FAULTS: unknown fault {', '.join(sorted(unknown))}; known are {', '.join(DESCRIPTIONS)}"
        )
    return names


_active = _from_environment()


def active(name: str) -> bool:
    """Whether the fault of that name is switched on in this process."""
    return name in _active


def switch(changes: dict[str, str]) -> dict[str, bool]:
    """Applies {"name": "on" | "off"} and returns the state of all; raises ValueError on a bad name or value."""
    for name, value in changes.items():
        if name not in DESCRIPTIONS:
            raise ValueError(f"unknown fault {name!r}; known are {', '.join(DESCRIPTIONS)}")
        if value not in ("on", "off"):
            raise ValueError(f"{name}={value!r}: say on or off")
    for name, value in changes.items():
        (_active.add if value == "on" else _active.discard)(name)
    return {name: name in _active for name in DESCRIPTIONS}
