"""Which of the application's libraries the agent would see: their hooks are tried, in this process."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import time
from typing import Any

from .. import _core, _report, config, contrib, imports
from ..hooks import HOOKS
from .report import BAD, GOOD, NOTE, Report

TRY_S_MAX = 40.0  # what trying all hooks may take; libraries that are not reached are named as such

# Part of Python itself: always there.
STANDARD = {
    "logging", "threading", "concurrent", "multiprocessing", "subprocess", "asyncio", "sqlite3", "http",
}  # fmt: skip

# Module → package, where the names differ.
PACKAGES = {
    "MySQLdb": "mysqlclient", "kafka": "kafka-python", "grpc": "grpcio", "confluent_kafka": "confluent-kafka",
    "prometheus_client": "prometheus-client", "opentelemetry": "opentelemetry-api", "psycopg2": "psycopg2-binary",
    "mysql": "mysql-connector-python", "cassandra": "cassandra-driver", "tortoise": "tortoise-orm",
}  # fmt: skip

SEEN = {
    "aiohttp": "requests in and out", "aiokafka": "messages", "aiosqlite": "queries", "anthropic": "model calls", "asyncpg": "queries",
    "botocore": "AWS calls", "bottle": "requests", "celery": "tasks, from publish to retry",
    "confluent_kafka": "messages", "django": "requests, views, middleware, templates, cache",
    "falcon": "requests", "fastapi": "requests, routes", "flask": "requests, routes", "grpc": "calls in and out",
    "gunicorn": "requests, workers", "httpx": "requests out", "httpx2": "requests out", "hypercorn": "requests",
    "kafka": "messages", "loguru": "log records", "MySQLdb": "queries", "openai": "model calls",
    "opentelemetry": "the application's own spans and metrics: Varan is its SDK", "pika": "messages",
    "prometheus_client": "its registry is exported", "psycopg": "queries", "psycopg2": "queries", "psycopg_pool": "waiting for connections",
    "pymongo": "commands", "pymysql": "queries", "pyramid": "requests, routes", "redis": "commands",
    "requests": "requests out", "rq": "jobs", "sqlalchemy": "queries, connection pools",
    "starlette": "requests, routes", "structlog": "log records", "tornado": "requests in and out",
    "urllib3": "requests out", "uvicorn": "requests", "waitress": "requests", "werkzeug": "requests",
}  # fmt: skip

# Libraries that people expect to see, and that no hook is for: OpenTelemetry's instrumentation, or why not.
ELSEWHERE = {
    "aiomysql": "aiomysql", "aiopg": "aiopg", "aio_pika": "aio-pika", "cassandra": "cassandra",
    "elasticsearch": "elasticsearch", "mysql": "mysql", "pymemcache": "pymemcache", "pymssql": "pymssql",
    "remoulade": "remoulade", "tortoise": "tortoiseorm",
}  # fmt: skip
NOTED = {
    "peewee": "its queries are seen through the database's driver",
    "sanic": "its own server is not seen; under uvicorn or hypercorn its requests are, without routes",
    "litestar": "its requests are seen through uvicorn or hypercorn, without routes",
    "dramatiq": "its tasks are not seen; queries and requests in them are",
    "huey": "its tasks are not seen; queries and requests in them are",
}


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:
        return False


def version_of(module: str) -> str:
    from importlib import metadata

    for name in (PACKAGES.get(module, module), module, module.replace("_", "-")):
        try:
            return metadata.version(name)
        except Exception:
            continue
    return ""


def _titled(module: str) -> str:
    return f"{module} {version_of(module)}".rstrip()


class _Trial:
    """What came of importing one library's modules, and of the hooks that wait for them. A library imports others,
    too: what their hooks have to say is kept for them in `early`, by module."""

    def __init__(self, early: dict[str, str]) -> None:
        self.early = early
        self.hooked = 0
        self.missing: list[str] = []  # modules that this version does not have
        self.troubles: list[str] = []

    def run(self, module: str) -> None:
        before = len(self.troubles)
        told: dict[str, str] = {}
        if module in self.early:
            told[""] = self.early.pop(module)
        tell, _report.once = _report.once, lambda key, text: told.setdefault(key, text)  # type: ignore[assignment,misc]
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name and (module == error.name or module.startswith(error.name + ".")):
                self.missing.append(module)
            else:
                self.troubles.append(f"{module} needs {error.name}, which is not installed")
        except BaseException as error:  # a library may even leave by SystemExit
            self.troubles.append(f"{module} does not import: {type(error).__name__}: {error}"[:300])
        finally:
            _report.once = tell
        for key, text in told.items():
            of = key.removeprefix(imports.HOOK_FOR)
            if of != key and of.split(".")[0] != module.split(".")[0]:
                self.early[of] = text
            else:
                self.troubles.append(text)
        if len(self.troubles) == before and module not in self.missing:
            self.hooked += 1


def _judge(report: Report, top: str, trial: _Trial) -> None:
    what = _titled(top)
    if trial.troubles:
        do = "another version of it, or VARAN_DISABLED_HOOKS, as said there; the rest is seen all the same"
        if any("does not import" in text or "not installed" in text for text in trial.troubles):
            do = ""
        state = BAD if trial.hooked == 0 or do else NOTE
        report.add(state, what, "; ".join(trial.troubles), do)
    elif trial.hooked == 0:
        report.add(
            BAD,
            what,
            f"this version has no {', no '.join(trial.missing)}: not seen",
            "another version of it",
        )
    else:
        report.add(GOOD, what, SEEN.get(top, ""))


def _look_at_hooks(report: Report, settings: config.Settings) -> None:
    waiting: dict[str, list[tuple[str, str]]] = {}
    for module, hook in HOOKS:
        waiting.setdefault(module.split(".")[0], []).append((module, hook))
    disabled = settings.disabled_hooks
    early: dict[str, str] = {}
    end = time.monotonic() + TRY_S_MAX
    if "*" in disabled:
        report.add(NOTE, "all of them", "switched off by VARAN_DISABLED_HOOKS=*")
        return
    if _core.native:
        imports.install(disabled)
    for top, pairs in sorted(waiting.items(), key=lambda pair: pair[0].lower()):
        if top in STANDARD or not _is_there(top):
            continue
        left = [m for m, h in pairs if not {h, top} & disabled]
        if not left:
            report.add(
                NOTE,
                _titled(top),
                "switched off by VARAN_DISABLED_HOOKS or OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
            )
        elif not _core.native:
            report.add(NOTE, _titled(top), "not seen without the extension")
        elif time.monotonic() > end:
            report.add(NOTE, _titled(top), "not tried: importing the others took too long")
        else:
            trial = _Trial(early)
            for module in dict.fromkeys(left):
                trial.run(module)
            _judge(report, top, trial)
    for module, text in early.items():  # of those tried before, and of Python's own
        report.add(BAD, module, text)


def contrib_packages() -> dict[str, str]:
    return {
        name: value
        for folder in contrib._folders()
        for name, value in contrib._entry_points(folder)
    }


def look(report: Report, settings: config.Settings) -> None:
    report.part("Libraries")
    _look_at_hooks(report, settings)
    if "*" in settings.disabled_hooks:
        return
    packages = contrib_packages()
    for module, package in sorted(ELSEWHERE.items()):
        if not _is_there(module):
            continue
        if package in packages:
            report.add(GOOD, _titled(module), f"by opentelemetry-instrumentation-{package}")
        else:
            do = f"pip install opentelemetry-instrumentation-{package}; it is switched on by itself"
            report.add(NOTE, _titled(module), "not seen", do)
    for module, why in sorted(NOTED.items()):
        if _is_there(module):
            report.add(NOTE, _titled(module), why)
    if _core.native:
        own = sorted(t for t in STANDARD if t not in settings.disabled_hooks)
        report.add(GOOD, "Python itself", ", ".join(own))


def look_at_contrib(report: Report, settings: config.Settings) -> None:
    packages = contrib_packages()
    report.part("OpenTelemetry's instrumentations")
    unwanted = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "")
    unwanted_names = {name.strip() for name in unwanted.split(",")}
    available = frozenset(hook for _, hook in imports.HOOKS)
    for name in sorted(packages):
        if "*" in settings.disabled_hooks:
            report.add(NOTE, name, "switched off by VARAN_DISABLED_HOOKS=*")
        elif name in unwanted_names:
            report.add(NOTE, name, "switched off by OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
        elif name in contrib.NEVER:
            report.add(NOTE, name, "works when the application calls it")
        elif contrib.is_ours(name, available, settings.disabled_hooks):
            report.add(NOTE, name, "left off: the agent has its own, and spans would come twice")
        else:
            _try_contrib(report, name, packages[name])


def _try_contrib(report: Report, name: str, value: str) -> None:
    target = contrib.MODULES.get(name, name.replace("-", "_"))
    if not _is_there(target):
        return report.add(NOTE, name, f"waits for {target}, which is not installed")
    try:
        module, _, attribute = value.partition(":")
        found: Any = getattr(importlib.import_module(module), attribute.partition(" ")[0])
        conflict = found()._check_dependency_conflicts()
    except Exception as error:
        return report.add(BAD, name, f"does not import: {type(error).__name__}: {error}"[:300])
    if conflict:
        return report.add(BAD, name, f"is not for the version installed: {conflict}"[:300])
    return report.add(GOOD, name, "switched on")


def is_active(name: str) -> bool:
    """Is the module in the process, or about to be, by its folder on PYTHONPATH?"""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return name in sys.modules or any(f"/{name}/" in path + "/" for path in paths)
