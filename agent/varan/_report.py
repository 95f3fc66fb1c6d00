"""The agent's own troubles: one line on stderr for each kind, never more, never an exception."""

from __future__ import annotations

import os
import sys

_told: set[str] = set()


def once(key: str, text: str) -> None:
    if key in _told:
        return
    _told.add(key)
    try:
        sys.stderr.write(f"varan: {text}\n")
    except Exception:
        pass


def failure(part: str, error: BaseException) -> None:
    """A part of the agent has failed and is off; the application goes on."""
    once(part, f"{part} is off: {type(error).__name__}: {error}")
    if os.environ.get("VARAN_DEBUG") not in (None, "", "0"):
        import traceback

        try:
            traceback.print_exception(type(error), error, error.__traceback__)
        except Exception:
            pass
