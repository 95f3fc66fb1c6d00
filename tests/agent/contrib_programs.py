"""The programs of test_contrib.py: one per instrumentation package of OpenTelemetry's contrib. Each runs with URL (an HTTP
server whose answer's status is the path), and instrument(class, **options), which also sees to the end of it."""

from __future__ import annotations

PROGRAMS: dict[str, str] = {
    "flask": """
import flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
instrument(FlaskInstrumentor)
app = flask.Flask("x")
app.get("/item/<int:i>")(lambda i: str(i))
app.get("/crash", endpoint="crash")(lambda: 1 / 0)
client = app.test_client()
for path in ("/item/5?q=1", "/crash", "/nothing"):
    client.get(path, headers={"traceparent": "00-" + "7" * 32 + "-" + "8" * 16 + "-01"})
client.post("/item/6")
""",
    "django": """
import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path
settings.configure(ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"], SECRET_KEY="x", MIDDLEWARE=[])
import types
urls = sys.modules["urls"] = types.ModuleType("urls")
def crash(request):
    raise LookupError("no")
urls.urlpatterns = [path("item/<int:i>", lambda request, i: HttpResponse(str(i))), path("crash", crash)]
from opentelemetry.instrumentation.django import DjangoInstrumentor
instrument(DjangoInstrumentor)
django.setup()
from django.test import Client
client = Client(raise_request_exception=False)
for p in ("/item/5?q=1", "/crash", "/nothing"):
    client.get(p)
""",
    "fastapi": """
from fastapi import FastAPI
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
app = FastAPI()
@app.get("/item/{i}")
async def item(i: int):
    return i
@app.get("/crash")
async def crash():
    raise LookupError("no")
FastAPIInstrumentor.instrument_app(app)
from starlette.testclient import TestClient
client = TestClient(app, raise_server_exceptions=False)
for path in ("/item/5?q=1", "/crash", "/nothing"):
    client.get(path)
""",
    "requests": """
import requests
from opentelemetry.instrumentation.requests import RequestsInstrumentor
instrument(RequestsInstrumentor)
requests.get(URL + "/200?q=1")
requests.post(URL + "/404")
requests.get(URL + "/500")
try:
    requests.get("http://127.0.0.1:1/")
except requests.ConnectionError:
    pass
""",
    "httpx": """
import asyncio, httpx
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
instrument(HTTPXClientInstrumentor)
httpx.get(URL + "/200?q=1")
httpx.get(URL + "/500")
async def asynchronously():
    async with httpx.AsyncClient() as client:
        await client.get(URL + "/404")
asyncio.run(asynchronously())
try:
    httpx.get("http://127.0.0.1:1/")
except httpx.ConnectError:
    pass
""",
    "sqlite3": """
import sqlite3
from opentelemetry.instrumentation.sqlite3 import SQLite3Instrumentor
instrument(SQLite3Instrumentor)
cursor = sqlite3.connect(":memory:").cursor()
cursor.execute("create table t (a, b)")
cursor.execute("insert into t values (?, ?)", (1, "x"))
cursor.executemany("insert into t values (?, ?)", [(2, "y"), (3, "z")])
cursor.execute("select * from t where a = 1")
try:
    cursor.execute("select * from missing")
except sqlite3.OperationalError:
    pass
""",
    "celery": """
import celery
from opentelemetry.instrumentation.celery import CeleryInstrumentor
instrument(CeleryInstrumentor)
app = celery.Celery("x", broker="memory://", backend="cache+memory://")
app.conf.task_ignore_result = False
@app.task(name="add")
def add(a, b):
    return a + b
@app.task(name="fails")
def fails():
    raise LookupError("no")
from celery.contrib.testing.worker import start_worker
with start_worker(app, pool="solo", perform_ping_check=False, loglevel="CRITICAL", shutdown_timeout=60):
    assert add.delay(1, 2).get(timeout=60) == 3
    try:
        fails.delay().get(timeout=60)
    except LookupError:
        pass
""",
    "api": """
from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
tracer = trace.get_tracer("mine", "1.2", schema_url="https://schema/1")
with tracer.start_as_current_span("a", kind=SpanKind.CONSUMER, attributes={"s": "x", "i": 1, "f": 1.5, "b": True,
                                  "l": ["a", "b"], "n": [1, 2], "none": None, "odd": object}) as a:
    a.set_attribute("later", "y")
    a.set_attribute("s", "replaced")
    a.add_event("event", {"k": [True, False]})
    with tracer.start_as_current_span("b", links=[Link(a.get_span_context(), {"why": "so"})]) as b:
        b.update_name("renamed")
        b.set_status(Status(StatusCode.ERROR, "bad"))
        b.set_status(Status(StatusCode.OK))
        b.set_status(Status(StatusCode.ERROR, "too late"))
    try:
        with tracer.start_as_current_span("c"):
            raise ValueError("no")
    except ValueError:
        pass
    try:
        with tracer.start_as_current_span("d", record_exception=False, set_status_on_exception=False):
            raise ValueError("no")
    except ValueError:
        pass
""",
    "urllib": """
import urllib.request, urllib.error
from opentelemetry.instrumentation.urllib import URLLibInstrumentor
instrument(URLLibInstrumentor)
urllib.request.urlopen(URL + "/200?q=1").read()
for path in ("/404", "/500"):
    try:
        urllib.request.urlopen(URL + path)
    except urllib.error.HTTPError:
        pass
try:
    urllib.request.urlopen("http://127.0.0.1:1/")
except urllib.error.URLError:
    pass
""",
    "urllib3": """
import urllib3
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
instrument(URLLib3Instrumentor)
pool = urllib3.PoolManager()
for method, path in (("GET", "/200?q=1"), ("POST", "/404"), ("GET", "/500")):
    pool.request(method, URL + path)
try:
    pool.request("GET", "http://127.0.0.1:1/", retries=False)
except urllib3.exceptions.HTTPError:
    pass
""",
    "aiohttp_client": """
import asyncio, aiohttp
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
instrument(AioHttpClientInstrumentor)
async def main():
    async with aiohttp.ClientSession() as session:
        for path in ("/200?q=1", "/404", "/500"):
            async with session.get(URL + path) as response:
                await response.read()
        try:
            await session.get("http://127.0.0.1:1/")
        except aiohttp.ClientError:
            pass
asyncio.run(main())
""",
    "aiohttp_server": """
import asyncio
from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
instrument(AioHttpServerInstrumentor)
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
async def item(request):
    return web.Response(text=request.match_info["i"])
async def crash(request):
    raise LookupError("no")
async def main():
    app = web.Application()
    app.router.add_get("/item/{i}", item)
    app.router.add_get("/crash", crash)
    async with TestClient(TestServer(app)) as client:
        for path in ("/item/5?q=1", "/crash", "/nothing"):
            await client.get(path, headers={"User-Agent": "test"})
import logging
logging.getLogger("aiohttp.server").disabled = True
asyncio.run(main())
""",
    "starlette": """
from opentelemetry.instrumentation.starlette import StarletteInstrumentor
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.testclient import TestClient
async def item(request):
    return PlainTextResponse(request.path_params["i"])
async def crash(request):
    raise LookupError("no")
async def socket(ws):
    await ws.accept()
    await ws.send_text(await ws.receive_text())
    await ws.close()
app = Starlette(routes=[Route("/item/{i}", item), Mount("/sub", routes=[Route("/crash", crash)]), WebSocketRoute("/ws", socket)])
StarletteInstrumentor.instrument_app(app)
client = TestClient(app, raise_server_exceptions=False)
for path in ("/item/5?q=1", "/sub/crash", "/nothing"):
    client.get(path)
with client.websocket_connect("/ws") as ws:
    ws.send_text("hello")
    assert ws.receive_text() == "hello"
""",
    "falcon": """
import logging
import falcon, falcon.testing
logging.getLogger("falcon").disabled = True
from opentelemetry.instrumentation.falcon import FalconInstrumentor
instrument(FalconInstrumentor)
class Item:
    def on_get(self, request, response, i):
        response.text = i
class Crash:
    def on_get(self, request, response):
        raise falcon.HTTPServiceUnavailable(title="no")
app = falcon.App()
app.add_route("/item/{i}", Item())
app.add_route("/crash", Crash())
client = falcon.testing.TestClient(app)
for path in ("/item/5?q=1", "/crash", "/nothing"):
    client.simulate_get(path)
""",
    "pyramid": """
from opentelemetry.instrumentation.pyramid import PyramidInstrumentor
instrument(PyramidInstrumentor)
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden
from pyramid.response import Response
from werkzeug.test import Client
def crash(request):
    raise LookupError("no")
def forbidden(request):
    raise HTTPForbidden("not you")
config = Configurator()
for name, path, view in (("item", "/item/{i}", lambda request: Response(request.matchdict["i"])), ("crash", "/crash", crash),
                         ("forbidden", "/forbidden", forbidden)):
    config.add_route(name, path)
    config.add_view(view, route_name=name)
client = Client(config.make_wsgi_app())
for path in ("/item/5?q=1", "/forbidden", "/nothing", "/crash"):
    try:
        client.get(path)
    except LookupError:
        pass
""",
    "tornado": """
import asyncio, logging
logging.getLogger("tornado").setLevel(100)
from opentelemetry.instrumentation.tornado import TornadoInstrumentor
instrument(TornadoInstrumentor)
import tornado.web, tornado.httpclient, tornado.httpserver, tornado.netutil
class Item(tornado.web.RequestHandler):
    async def get(self, i):
        self.write(i)
class Crash(tornado.web.RequestHandler):
    def get(self):
        raise LookupError("no")
async def main():
    app = tornado.web.Application([(r"/item/([0-9]+)", Item), (r"/crash", Crash)])
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    server = tornado.httpserver.HTTPServer(app)
    server.add_sockets(sockets)
    client = tornado.httpclient.AsyncHTTPClient()
    for path in ("/item/5?q=1", "/crash", "/nothing"):
        await client.fetch(f"http://127.0.0.1:{sockets[0].getsockname()[1]}{path}", raise_error=False)
    server.stop()
asyncio.run(main())
""",
    "jinja2": """
import jinja2
from opentelemetry.instrumentation.jinja2 import Jinja2Instrumentor
instrument(Jinja2Instrumentor)
environment = jinja2.Environment(loader=jinja2.DictLoader({"page": "{% include 'part' %} {{ x }}", "part": "p", "bad": "{{ 1 / 0 }}"}))
assert environment.get_template("page").render(x=1) == "p 1"
try:
    environment.get_template("bad").render()
except ZeroDivisionError:
    pass
""",
    "threading": """
import threading
from concurrent.futures import ThreadPoolExecutor
from opentelemetry import trace
from opentelemetry.instrumentation.threading import ThreadingInstrumentor
instrument(ThreadingInstrumentor)
tracer = trace.get_tracer("mine")
def work(name):
    with tracer.start_as_current_span(name):
        pass
with tracer.start_as_current_span("outer"):
    thread = threading.Thread(target=work, args=("thread",))
    thread.start()
    thread.join()
    timer = threading.Timer(0.01, work, ("timer",))
    timer.start()
    timer.join()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work, "pool").result()
""",
    "asyncio": """
import asyncio
os.environ["OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES_TO_TRACE"] = "work,fails"
os.environ["OTEL_PYTHON_ASYNCIO_FUTURE_TRACE_ENABLED"] = "true"
os.environ["OTEL_PYTHON_ASYNCIO_TO_THREAD_FUNCTION_NAMES_TO_TRACE"] = "blocking"
from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor
instrument(AsyncioInstrumentor)
async def work():
    await asyncio.sleep(0)
async def fails():
    raise LookupError("no")
def blocking():
    pass
async def main():
    await asyncio.gather(work(), fails(), return_exceptions=True)
    await asyncio.to_thread(blocking)
    await asyncio.wait_for(work(), 60)
asyncio.run(main())
""",
    "sqlalchemy": """
import sqlalchemy
from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor
instrument(SQLAlchemyInstrumentor)
engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.pool.QueuePool, pool_size=2)
with engine.begin() as connection:
    connection.execute(sqlalchemy.text("create table t (a)"))
    connection.execute(sqlalchemy.text("insert into t values (:a)"), [{"a": 1}, {"a": 2}])
    assert len(connection.execute(sqlalchemy.text("select * from t")).all()) == 2
    try:
        connection.execute(sqlalchemy.text("select * from missing"))
    except sqlalchemy.exc.OperationalError:
        pass
""",
    "dbapi": """
import sqlite3, types
from opentelemetry.instrumentation import dbapi
module = types.SimpleNamespace(connect=sqlite3.connect, __name__="mydriver", apilevel="2.0", paramstyle="qmark", threadsafety=1)
dbapi.wrap_connect("mine", module, "connect", "mydb", enable_commenter=True, capture_parameters=True)
cursor = module.connect(":memory:").cursor()
cursor.execute("create table t (a)")
cursor.executemany("insert into t values (?)", [(1,), (2,)])
cursor.execute("select a from t where a = ?", (1,))
""",
    "grpc": """
import grpc
from concurrent import futures
from opentelemetry.instrumentation.grpc import GrpcInstrumentorClient, GrpcInstrumentorServer
instrument(GrpcInstrumentorServer)
instrument(GrpcInstrumentorClient)
def echo(request, context):
    return request
def many(request, context):
    yield request
    yield request
def aborts(request, context):
    context.abort(grpc.StatusCode.NOT_FOUND, "not here")
server = grpc.server(futures.ThreadPoolExecutor(2))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Echo", {
    "echo": grpc.unary_unary_rpc_method_handler(echo), "many": grpc.unary_stream_rpc_method_handler(many),
    "aborts": grpc.unary_unary_rpc_method_handler(aborts)}),))
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    assert channel.unary_unary("/test.Echo/echo")(b"x") == b"x"
    assert len(list(channel.unary_stream("/test.Echo/many")(b"x"))) == 2
    try:
        channel.unary_unary("/test.Echo/aborts")(b"x")
    except grpc.RpcError:
        pass
server.stop(60).wait()
""",
    "redis": """
import redis
from opentelemetry.instrumentation.redis import RedisInstrumentor
instrument(RedisInstrumentor)
client = redis.Redis(port=1, retry=None)
for call in (lambda: client.set("key", "value"), lambda: client.pipeline().get("a").set("b", 1).execute()):
    try:
        call()
    except redis.ConnectionError:
        pass
""",
    "pymongo": """
import pymongo, mongo_server
from opentelemetry.instrumentation.pymongo import PymongoInstrumentor
instrument(PymongoInstrumentor)
with pymongo.MongoClient("127.0.0.1", mongo_server.start().server_address[1]) as client:
    list(client.shop.items.find({"name": "x"}))
    client.shop.items.insert_one({"_id": 2})
    try:
        client.shop.command("collMod", "items")
    except pymongo.errors.OperationFailure:
        pass
""",
    "botocore": """
import botocore.session
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
instrument(BotocoreInstrumentor)
os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="y")
session = botocore.session.get_session()
client = session.create_client("s3", region_name="eu-west-1", endpoint_url=URL, config=botocore.config.Config(
    retries={"max_attempts": 0}, s3={"addressing_style": "path"}))
for bucket in ("200", "404"):
    try:
        client.head_object(Bucket=bucket, Key="k")
    except botocore.exceptions.ClientError:
        pass
""",
    "logging": """
import logging
from opentelemetry import trace
from opentelemetry.instrumentation.logging import LoggingInstrumentor
instrument(LoggingInstrumentor, enable_log_auto_instrumentation=False, inject_trace_context=True)
seen = []
class Keep(logging.Handler):
    def emit(self, record):
        seen.append(record)
logger = logging.getLogger("contrib.test")
logger.propagate, logger.disabled = False, False
logger.setLevel("INFO")
logger.addHandler(Keep())
with trace.get_tracer("mine").start_as_current_span("logs") as span:
    logger.warning("inside")
    context = span.get_span_context()
    span.set_attribute("same trace", seen[0].otelTraceID == f"{context.trace_id:032x}")
    span.set_attribute("same span", seen[0].otelSpanID == f"{context.span_id:016x}")
    span.set_attribute("sampled", seen[0].otelTraceSampled)
""",
    "click": """
import click
from click.testing import CliRunner
from opentelemetry.instrumentation.click import ClickInstrumentor
instrument(ClickInstrumentor)
@click.command()
@click.argument("how")
def command(how):
    if how == "fails":
        raise LookupError("no")
for how in ("well", "fails"):
    CliRunner().invoke(command, [how])
""",
    "wsgi": """
from opentelemetry.instrumentation.wsgi import OpenTelemetryMiddleware
from werkzeug.test import Client
def app(environ, start_response):
    if environ["PATH_INFO"] == "/crash":
        raise LookupError("no")
    start_response("404 Not Found" if environ["PATH_INFO"] == "/nothing" else "200 OK", [("X-A", "1")])
    return [b"ok"]
client = Client(OpenTelemetryMiddleware(app))
for path in ("/a?q=1", "/nothing", "/crash"):
    try:
        client.get(path)
    except LookupError:
        pass
""",
    "asgi": """
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from starlette.testclient import TestClient
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/crash":
        raise LookupError("no")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})
client = TestClient(OpenTelemetryMiddleware(app), raise_server_exceptions=False)
for path in ("/a?q=1", "/crash"):
    client.get(path)
""",
}
