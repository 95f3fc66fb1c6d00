"""Hooks run when the module they patch has been imported: at once if it is there, else right after its import."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Callable

from . import _report
from .hooks import HOOKS

# Hooks that are in place.
installed: set[str] = set()

# Names of hooks and libraries that are to be left alone.
disabled: frozenset[str] = frozenset()

_uwsgi: list[bool] = []  # has been looked at

HOOK_FOR = "the hook for "  # … a module: what of the agent is off, as it is told

# Module to wait for → names of hooks (modules of varan.hooks), or functions.
_waiting: dict[str, list[str | Callable[[Any], None]]] = {}


def _run(name: str, module: Any) -> None:
    for hook in _waiting.pop(name, ()):
        try:
            if not isinstance(hook, str):
                hook(module)
                continue
            importlib.import_module(f"varan.hooks.{hook}").install(module)
            installed.add(hook)
        except Exception as error:
            _report.failure(f"{HOOK_FOR}{name}", error)


def _watch(loader: Any, name: str) -> bool:
    """Lets the loader run our hooks after it has executed the module."""
    execute = loader.exec_module

    def exec_module(module: Any) -> None:
        if getattr(module, "__name__", None) != name:
            return execute(module)
        try:
            del loader.exec_module  # the class's own again
        except AttributeError:
            pass
        execute(module)
        _run(name, module)

    try:
        loader.exec_module = exec_module
    except AttributeError:  # a loader without a dict
        return False
    return not isinstance(loader, type)


def _see_uwsgi() -> None:
    """uWSGI brings its module along; the first import after that may be the application's."""
    _uwsgi.append(True)
    if "uwsgi" in disabled or "*" in disabled:
        return
    try:
        from . import uwsgi

        uwsgi.install(sys.modules["uwsgi"], when_imported)
    except Exception as error:
        _report.failure("the hook for uWSGI", error)


def _see_uwsgi_files() -> None:
    """Files are loaded before any import, perhaps."""
    from . import resource

    words = resource.command_line()
    if not any("uwsgi" in word for word in words[:2]) or {"uwsgi", "*"} & disabled:
        return
    try:
        from . import uwsgi

        if uwsgi.is_program(words):
            uwsgi.watch_files()
    except Exception as error:
        _report.failure("the hook for uWSGI", error)


class _Finder:
    """First on sys.meta_path; finds nothing itself, and looks over the shoulder of those that do."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if not _uwsgi and "uwsgi" in sys.modules:
            _see_uwsgi()
        if name not in _waiting:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                try:
                    if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                        _watch(spec.loader, name)
                except Exception as error:
                    _report.failure(f"{HOOK_FOR}{name}", error)
                return spec
        return None


def when_imported(name: str, function: Callable[[Any], None]) -> None:
    """Calls the function with the module: now, or right after its import."""
    _waiting.setdefault(name, []).append(function)
    module = sys.modules.get(name)
    if module is not None and not _importing(module):
        _run(name, module)


def install(left_alone: frozenset[str]) -> None:
    global disabled
    disabled = left_alone
    for module, hook in HOOKS:
        if hook in disabled or module.split(".")[0] in disabled or "*" in disabled:
            continue
        _waiting.setdefault(module, []).append(hook)
    sys.meta_path.insert(0, _Finder())
    _see_uwsgi_files()
    for name in list(_waiting):
        module = sys.modules.get(name)
        if module is not None and not _importing(module):
            _run(name, module)


def _importing(module: Any) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))
