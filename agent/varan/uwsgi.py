"""uWSGI calls the application from C: one without a framework is seen only if it is wrapped between the import of its
module and the moment uWSGI takes it from there."""

from __future__ import annotations

from typing import Any, Callable

# Their own hooks see the requests; what else holds the application keeps the object that it knows.
FRAMEWORKS = ("bottle", "django", "falcon", "flask", "pyramid")
OPTIONS = ("module", "wsgi", "mount")
CALLABLE = "application"


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


def install(uwsgi: Any, when_imported: Callable[[str, Callable[[Any], None]], None]) -> None:
    for name, attribute in applications(uwsgi.opt):
        when_imported(name, lambda module, attribute=attribute: _wrap(module, attribute))
