"""uWSGI calls the application from C: one without a framework is seen only if it is wrapped between the import of its
module and the moment uWSGI takes it from there. A file (wsgi-file) is executed in C, too: there the importlib function
that C prepares the module's namespace with says that it begins, and the end of the next frame that it has ended."""

from __future__ import annotations

import importlib._bootstrap_external as external  # type: ignore[import-not-found]
import os
import sys
from typing import Any, Callable

from . import _core, _report

# Their own hooks see the requests; what else holds the application keeps the object that it knows.
FRAMEWORKS = ("bottle", "django", "falcon", "flask", "pyramid")
OPTIONS = ("module", "wsgi", "mount")
CALLABLE = "application"
FILE_MODULES = "uwsgi_file_"  # how uWSGI names what it loads from a file


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [v.decode("utf-8", "replace") for v in values if isinstance(v, bytes)]


def applications(options: Any) -> list[tuple[str, str]]:
    """Module and attribute of each application that uWSGI is told to load by name: "shop:app", "/shop=shop:app"."""
    usual = (_texts(options.get("callable")) or [CALLABLE])[0]
    found = []
    for option in OPTIONS:
        for text in _texts(options.get(option)):
            if option == "mount":
                text = text.partition("=")[2]
            module, _, attribute = text.partition(":")
            attribute = attribute or usual
            if module and "/" not in module and attribute.isidentifier():
                found.append((module, attribute))
    return found


def _wrap(module: Any, attribute: str) -> None:
    from .hooks import wsgi

    application = getattr(module, attribute, None)
    if callable(application) and type(application).__module__.split(".")[0] not in FRAMEWORKS:
        setattr(module, attribute, wsgi.traced(application))


def _wrap_file(name: str) -> None:
    try:
        usual = _texts(getattr(sys.modules.get("uwsgi"), "opt", {}).get("callable")) or [CALLABLE]
        _wrap(sys.modules[name], usual[0])
    except Exception as error:
        _report.failure("the hook for uWSGI's wsgi-file", error)


def is_program(words: list[str]) -> bool:
    """Does this command line start uWSGI, by itself or as a script of Python's?"""
    return any(os.path.basename(word).startswith(("uwsgi", "pyuwsgi")) for word in words[:2])


def watch_files() -> None:
    prepare = external._fix_up_module

    def prepare_and_watch(namespace: Any, name: Any, *rest: Any) -> Any:
        result = prepare(namespace, name, *rest)
        if isinstance(name, str) and name.startswith(FILE_MODULES):
            # The last thing that this frame does: the next one is the file's.
            _core.after_next_frame(lambda: _wrap_file(name))
        return result

    external._fix_up_module = prepare_and_watch


def install(uwsgi: Any, when_imported: Callable[[str, Callable[[Any], None]], None]) -> None:
    for name, attribute in applications(uwsgi.opt):
        when_imported(name, lambda module, attribute=attribute: _wrap(module, attribute))
