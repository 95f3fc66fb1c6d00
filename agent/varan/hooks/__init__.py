"""Native hooks, one file each. A hook has install(module), called once after `module` has been imported."""

HOOKS = (
    # (module to wait for, file in this folder)
    ("logging", "logging"),
    ("threading", "threads"),
    ("flask.app", "flask"),
    ("starlette.applications", "starlette"),
    ("starlette.routing", "starlette_routes"),
    ("fastapi.routing", "fastapi_routes"),
    ("fastapi.telemetry._asgi", "fastapi_telemetry"),
    ("werkzeug.serving", "werkzeug"),
    ("gunicorn.workers.base", "gunicorn"),
    ("gunicorn.workers.gasgi", "gunicorn_asgi"),
    ("waitress.server", "waitress"),
    ("uvicorn.config", "uvicorn"),
    ("uvicorn.server", "uvicorn_server"),
    ("hypercorn.app_wrappers", "hypercorn"),
    ("sqlite3", "sqlite3"),
    ("sqlite3.dbapi2", "sqlite3"),
    ("sqlalchemy", "sqlalchemy"),
    ("requests.adapters", "requests"),
    ("urllib3.connectionpool", "urllib3"),
    ("httpx", "httpx"),
    ("httpx2", "httpx"),
    ("opentelemetry.trace", "otel"),
)
