"""Native hooks, one file each. A hook has install(module), called once after `module` has been imported."""

HOOKS = (
    # (module to wait for, file in this folder)
    ("logging", "logging"),
    ("threading", "threads"),
    ("flask.app", "flask"),
    ("starlette.applications", "starlette"),
    ("starlette.routing", "starlette_routes"),
    ("werkzeug.serving", "werkzeug"),
    ("gunicorn.workers.base", "gunicorn"),
    ("waitress.server", "waitress"),
    ("uvicorn.config", "uvicorn"),
    ("hypercorn.utils", "hypercorn"),
    ("sqlite3", "sqlite3"),
    ("sqlite3.dbapi2", "sqlite3"),
    ("sqlalchemy.engine", "sqlalchemy"),
    ("requests.adapters", "requests"),
    ("urllib3.connectionpool", "urllib3"),
    ("httpx", "httpx"),
    ("opentelemetry.trace", "otel"),
)
