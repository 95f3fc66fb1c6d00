"""Why the C extension is not to be had in this interpreter, in words that help."""

from __future__ import annotations

import glob
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES

OLDEST = (3, 9)
HERE = os.path.dirname(os.path.abspath(__file__))
INSTALL = "pip install varan with this Python, in the application's environment"


def reason() -> tuple[str, str]:
    """Why the extension does not load, and what to do."""
    version = ".".join(map(str, sys.version_info[:2]))
    if sys.implementation.name != "cpython":
        return f"{sys.implementation.name} is not CPython, for which alone the agent is written", ""
    if sys.version_info < OLDEST:
        return f"Python {version} is too old", "Python 3.9 is the oldest that the agent knows"
    gil = getattr(sys, "_is_gil_enabled", None)
    if "t" in getattr(sys, "abiflags", "") or (gil is not None and not gil()):
        return "free-threaded Python is not supported yet", f"use the ordinary python{version}"
    built = [os.path.basename(path) for path in glob.glob(os.path.join(HERE, "_core.*so"))]
    if not built:
        return (
            "it was not built when the package was installed",
            f"install a C compiler, then {INSTALL}",
        )
    if not any(name == "_core" + suffix for name in built for suffix in EXTENSION_SUFFIXES):
        return f"the package in {HERE} was built for another Python ({built[0]})", INSTALL
    return "it does not load in this interpreter", INSTALL


def told(error: Exception) -> str:
    """One line: the reason, what to do, and for what is not known the error itself."""
    why, do = reason()
    line = f"its extension: {why}" + (f"; {do}" if do else "")
    return line if "does not load" not in why else f"{line} ({error})"
