"""asyncio's child processes: their end is noticed by the event loop, not by Popen."""

from __future__ import annotations

import functools
from typing import Any

from .subprocess import _end


def install(module: Any) -> None:
    transport = module.BaseSubprocessTransport
    exited = transport._process_exited

    @functools.wraps(exited)
    def traced_exited(self: Any, returncode: int) -> Any:
        if self._proc is not None:
            _end(self._proc, returncode)
        return exited(self, returncode)

    transport._process_exited = traced_exited
