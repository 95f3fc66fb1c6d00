"""What is started: a script, a module, a server with an application, and whether these are there."""

from __future__ import annotations

import os
import re
import sys
from importlib.machinery import PathFinder
from typing import Any

from ..resource import command_line as words
from .report import GOOD, NOTE, Report

__all__ = ["is_launcher", "look", "words"]

# Programs in Python that start the application's Python; other agents' starters among them.
LAUNCHERS = {
    "ddtrace-run", "hatch", "honcho", "newrelic-admin", "nox", "opentelemetry-instrument", "pdm", "pipenv", "pipx",
    "poetry", "supervisord", "tox", "watchfiles", "watchmedo",
}  # fmt: skip

APPLICATION = re.compile(r"[^\W\d][\w.]*:[^\W\d][\w.]*(\(.*\))?")
MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")

# Servers whose application is module:name; options that say where the module lies; whether the name may be left out.
SERVERS = {
    "gunicorn": ("--chdir", "--pythonpath"),
    "uvicorn": ("--app-dir",),
    "hypercorn": (),
    "waitress-serve": (),
    "daphne": (),
    "granian": (),
}
OPTIONS_WITH_APPLICATION = {"celery": ("-A", "--app"), "flask": ("-A", "--app")}


def _split(command: list[str]) -> tuple[str, str, list[str]]:
    """How Python was started: ("-m" | "-c" | "script" | "", what, its arguments)."""
    rest = list(command[1:])
    while rest:
        word = rest.pop(0)
        if word in ("-W", "-X", "--check-hash-based-pycs"):
            rest = rest[1:]
        elif word == "-c" or (re.fullmatch(r"-[a-zA-Z]*c", word) and rest):
            return "-c", rest[0] if rest else "", rest[1:]
        elif re.fullmatch(r"-[a-zA-Z]*m", word) and rest:
            return "-m", rest[0], rest[1:]
        elif not word.startswith("-"):
            return "script", word, rest
    return "", "", []


def _name(kind: str, what: str) -> str:
    name = what.split(".")[0] if kind == "-m" else os.path.basename(what)
    return name[:-3] if name.endswith(".py") else name


def is_launcher(command: list[str]) -> bool:
    kind, what, _ = _split(command)
    return kind in ("script", "-m") and _name(kind, what) in LAUNCHERS


def _find(module: str, folders: list[str]) -> str | None:
    """The file of a module, found without running any of its packages; None when there is none."""
    paths: Any = [*folders, *sys.path]
    name, spec = "", None
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        try:
            spec = PathFinder.find_spec(name, paths)
            if spec is None and "." not in name and name in sys.builtin_module_names:
                return "built in"
        except Exception:
            return ""  # what a foreign finder or a broken archive raises says nothing of the module
        if spec is None:
            return None
        paths = spec.submodule_search_locations
        if paths is None and name != module:
            return None
    return (spec and spec.origin) or "a package"


def _option(arguments: list[str], *names: str) -> str:
    for i, word in enumerate(arguments):
        if word in names and i + 1 < len(arguments):
            return arguments[i + 1]
        for name in names:
            if name.startswith("--") and word.startswith(name + "="):
                return word[len(name) + 1 :]
    return ""


def _application(name: str, arguments: list[str]) -> tuple[str, list[str]]:
    """The application that a server is given, and the folders where it is looked for."""
    folders = [os.getcwd()]
    for option in SERVERS.get(name, ()):
        value = _option(arguments, option)
        folders += [os.path.abspath(folder) for folder in value.split(",") if folder]
    if name in OPTIONS_WITH_APPLICATION:
        given = _option(arguments, *OPTIONS_WITH_APPLICATION[name])
        return given or (os.environ.get("FLASK_APP", "") if name == "flask" else ""), folders
    if name in SERVERS:
        for word in arguments:
            if APPLICATION.fullmatch(word):
                return word, folders
        if name == "gunicorn" and arguments and MODULE.fullmatch(arguments[-1]):
            return arguments[-1], folders
    return "", folders


def _look_at_application(report: Report, name: str, arguments: list[str]) -> None:
    application, folders = _application(name, arguments)
    module = application.partition(":")[0]
    if not module:
        return
    path = module if module.endswith(".py") else ""
    found = (path if os.path.exists(path) else None) if path else _find(module, folders)
    if found is None:
        report.obstacle(
            f"application {application}", f"there is no module {module} in {', '.join(folders)}, nor on Python's path",
            "start it in the application's folder, or check the name",
        )  # fmt: skip
    else:
        report.add(GOOD, f"application {application}", found)


def look(report: Report, command: list[str]) -> None:
    report.part("Program")
    kind, what, arguments = _split(command)
    if not os.path.basename(command[0] if command else "").startswith(("python", "pypy")):
        report.add(
            GOOD, os.path.basename(command[0]) if command else "a program", "has Python inside"
        )
        return
    if kind == "":
        report.add(NOTE, "an interactive session, or a program from standard input")
        return
    if kind == "-c":
        report.add(GOOD, "a command", what if len(what) <= 60 else what[:60] + "…")
        return
    if kind == "-m":
        found = _find(what, [os.getcwd()])
        if found is None:
            report.obstacle(
                f"module {what}", f"this Python has no such module ({sys.executable})",
                "install it there, or name the Python of the application's environment",
            )  # fmt: skip
            return
        report.add(GOOD, f"module {what}", found)
    elif not os.path.exists(what):
        report.obstacle(f"script {what}", f"there is no such file in {os.getcwd()}")
        return
    else:
        report.add(GOOD, f"script {os.path.basename(what)}", os.path.abspath(what))
    _look_at_application(report, _name(kind, what), arguments)
