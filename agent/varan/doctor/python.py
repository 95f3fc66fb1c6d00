"""The interpreter, and whether the agent's extension works in it."""

from __future__ import annotations

import sys

from .. import _core, _unfit
from .report import GOOD, NOTE, Report


def look(report: Report) -> None:
    report.part("Python")
    name = {"cpython": "CPython", "pypy": "PyPy"}.get(
        sys.implementation.name, sys.implementation.name
    )
    where = sys.executable
    if sys.prefix != sys.base_prefix:
        where += f"  (virtual environment {sys.prefix})"
    report.add(GOOD, f"{name} {sys.version.split()[0]}", where)
    if _core.native:
        report.add(GOOD, "the agent's extension", _unfit.HERE)
    else:
        why, do = _unfit.reason()
        report.obstacle("the agent's extension", why, do)
    site = sys.modules.get("sitecustomize")
    if site is not None and not hasattr(site, "_chain"):  # not the one that starts the agent
        report.add(
            NOTE, "sitecustomize of your own", f"{site.__file__} runs before the agent starts"
        )
