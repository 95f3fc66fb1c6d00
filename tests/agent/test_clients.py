"""Outgoing calls: one client span per request that goes out, its ids in the headers; databases; never doubled."""

from __future__ import annotations

import asyncio
import http.client
import http.server
import io
import socket
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import sqlalchemy
import urllib3
from sqlalchemy import orm

import varan
from conftest import Sent
from varan import _core


class Target:
    """A server that remembers the headers it saw."""

    def __init__(self) -> None:
        self.seen: list[dict[str, str]] = []
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                target.seen.append({k.lower(): v for k, v in self.headers.items()})
                code = int(self.path.split("/")[1].split("?")[0])
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "/200")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            do_POST = do_GET

            def log_message(self, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def _target() -> Iterator[Target]:
    target = Target()
    yield target
    target.server.shutdown()
    target.server.server_close()


@pytest.fixture
def target(_target: Target) -> Target:
    _target.seen.clear()
    return _target


def by_httpx_async(method: str, url: str) -> None:
    async def get() -> None:
        async with httpx.AsyncClient(follow_redirects=True) as client:
            await client.request(method, url)

    asyncio.run(get())


def by_aiohttp(method: str, url: str) -> None:
    async def get() -> None:
        async with aiohttp.ClientSession() as client, client.request(method, url):
            pass

    asyncio.run(get())


def by_urllib(method: str, url: str) -> None:
    try:
        urllib.request.urlopen(urllib.request.Request(url, method=method)).read()
    except urllib.error.HTTPError as error:
        error.close()


WAYS = {
    "aiohttp": by_aiohttp,
    "urllib": by_urllib,
    "requests": lambda method, url: requests.request(method, url),
    "urllib3": lambda method, url: urllib3.PoolManager().request(
        method, url, retries=urllib3.Retry(2, connect=0)
    ),
    "httpx": lambda method, url: httpx.request(method, url, follow_redirects=True),
    "httpx-async": by_httpx_async,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [200, 404, 500])
def test_http(sent: Sent, target: Target, way: str, status: int) -> None:
    with varan.span("outer") as outer:
        WAYS[way]("POST", f"{target.url}/{status}?q=1")
    (span,) = [s for s in sent.spans() if s.kind == 3]
    assert span.name == "POST" and span.parent_id == outer.span_id
    assert target.seen[0]["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
    bad = {"error.type": str(status)} if status >= 400 else {}
    assert span.status == (2 if bad else 0) and span.attributes == {
        "http.request.method": "POST", "server.address": "127.0.0.1", "server.port": target.port,
        "url.full": f"{target.url}/{status}?q=1", "http.response.status_code": status, **bad,
    }  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_redirects(sent: Sent, target: Target, way: str) -> None:
    WAYS[way]("GET", f"{target.url}/302")
    assert len(target.seen) == 2
    # aiohttp follows below its request: one span for all.
    spans = [s for s in sent.spans() if s.kind == 3]
    assert len(spans) == (1 if way == "aiohttp" else 2)
    assert all(len(seen["traceparent"]) == 55 for seen in target.seen)


def test_http_client_itself(sent: Sent, target: Target) -> None:
    """One connection, several requests; the ones that nobody waits for end, too."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port)
    for path in ("/200", "/404"):
        connection.request("GET", path, headers={"X-Own": "1"})
        response = connection.getresponse()
        response.read()
    connection.request("GET", "/200/forgotten")
    connection.close()
    deadline = time.monotonic() + 60
    while len(target.seen) < 3:  # its thread there comes to it later
        assert time.monotonic() < deadline
        time.sleep(0.01)
    spans = [s for s in sent.spans() if s.kind == 3]
    assert [s.attributes.get("http.response.status_code") for s in spans] == [200, 404, None]
    assert {s["traceparent"][36:52] for s in target.seen} >= {s.span_id for s in spans[:2]}
    # A header of the application's own stays the only one.
    own = f"00-{'7' * 32}-{'8' * 16}-01"
    connection.request("GET", "/200", headers={"traceparent": own})
    connection.getresponse().read()
    connection.close()
    assert target.seen[-1]["traceparent"] == own


def test_aiohttp_errors_and_base_url(sent: Sent, target: Target) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(target.url, raise_for_status=True) as client:
            async with client.get("/200", params={"a": "1"}, headers=[("X-Own", "1")]):
                pass
            with pytest.raises(aiohttp.ClientResponseError):
                await client.get("/500")

    asyncio.run(main())
    good, bad = [s for s in sent.spans() if s.kind == 3][:2]
    assert good.attributes["url.full"].startswith(f"{target.url}/200")
    assert target.seen[0]["x-own"] == "1"
    assert bad.attributes["http.response.status_code"] == 500
    assert bad.attributes["error.type"].endswith("ClientResponseError")


@pytest.mark.parametrize("way", WAYS)
def test_refused(sent: Sent, way: str) -> None:
    with pytest.raises(Exception) as caught:
        WAYS[way]("GET", "http://127.0.0.1:1/")
    (span,) = [s for s in sent.spans() if s.kind == 3]
    wanted = "ConnectionRefusedError" if way == "urllib" else type(caught.value).__name__
    assert span.status == 2 and span.events[0][1]["exception.type"].endswith(wanted)
    assert span.attributes["server.port"] == 1


@pytest.mark.parametrize(
    "url, full, address, port",
    [
        ("http://user:secret@h:81/x?y", "http://h:81/x?y", "h", 81), ("https://h/", "https://h/", "h", 443),
        ("http://[::1]:5/", "http://[::1]:5/", "::1", 5), ("https://a@b@h", "https://h", "h", 443), ("odd", "odd", None, None),
        ("http://user:p@h/" + "x" * 5000, None, "h", 80), ("http://", "http://", None, 80),
    ],
)  # fmt: skip
def test_urls(
    sent: Sent, url: str, full: str | None, address: str | None, port: int | None
) -> None:
    _core.start_client(_core.Tracer("t"), "GET", url).end()
    found = sent.spans()[0].attributes
    assert "secret" not in str(found) and (full is None or found["url.full"] == full)
    assert found.get("server.address") == address and found.get("server.port") == port


SQL = [
    ("SELECT * FROM t WHERE a = 'x' AND b = 12", "SELECT * FROM t WHERE a = ? AND b = ?"),
    ("select 'it''s', E'a\\'b', -1.5e+10, .5, 0xFF", "select ?, ?, -?, ?, ?"),
    ("SELECT 1 -- secret\n, 2 /* secret /* nested */ secret */ + 3", "SELECT ? , ? + ?"),
    (
        "SELECT $$secret$$, $tag$ secret $$ $tag$, $1, :name, @p, %s, %(key)s, ?",
        "SELECT ?, ?, $1, :name, @p, %s, %(key)s, ?",
    ),
    (
        'SELECT "Name", `x`, [y z] FROM "T1" WHERE c = "secret"',
        'SELECT "Name", `x`, [y z] FROM "T1" WHERE c = ?',
    ),
    (
        "SELECT t1.c2 FROM a1b2 t1 WHERE x1 IN (1, 2,3)",
        "SELECT t1.c2 FROM a1b2 t1 WHERE x1 IN (?, ?,?)",
    ),
    ("SELECT 'unterminated secret", "SELECT ?"),
    ("", ""),
    ("  \n ", ""),
    ("\0\x01", "\0\x01"),
    (
        "INSERT INTO ünï VALUES (N'x', x'ff', true, null)",
        "INSERT INTO ünï VALUES (?, ?, true, null)",
    ),
    ("SELECT 'C:\\' || 'secret'", "SELECT ? || ?"),
    ("SELECT a#>>'{x}' , b->>'y'", "SELECT a#>>? , b->>?"),
    ('SELECT 1 WHERE "a"."b"="c"."d"', 'SELECT ? WHERE "a"."b"="c"."d"'),
]


@pytest.mark.parametrize("text, wanted", SQL, ids=range(len(SQL)))
def test_sql(text: str, wanted: str) -> None:
    assert _core.sanitize_sql(text) == wanted


def test_sql_of_mysql() -> None:
    assert (
        _core.sanitize_sql("SELECT 'it\\'s secret', \"secret\" # secret", "mysql") == "SELECT ?, ?"
    )


def test_sql_is_bounded() -> None:
    assert len(_core.sanitize_sql("SELECT " + "ü, " * 100_000).encode()) <= 8192
    for text in (
        "(" * 100_000,
        "/*" * 100_000,
        "'" * 99_999,
        "$" * 100_000,
        '"' * 100_001,
        "-" * 100_000,
        "[a" * 50_000,
    ):
        _core.sanitize_sql(text)


def here() -> int:
    import sys

    return sys._getframe(1).f_lineno


def test_sqlite3(sent: Sent) -> None:
    db = sqlite3.connect(":memory:")
    assert isinstance(db, sqlite3.Connection) and type(db).__name__ == "Connection"
    db.execute("CREATE TABLE t (a, b)")
    with db:
        db.executemany("INSERT INTO t VALUES (?, 'secret')", [(1,), (2,)])
    cursor = db.cursor()
    assert isinstance(cursor, sqlite3.Cursor)
    assert cursor.execute("SELECT a FROM t WHERE a = 2").fetchall() == [(2,)]
    line = here() - 1  # the line above
    with pytest.raises(sqlite3.OperationalError):
        db.execute("SELECT nothing FROM t")
    db.commit()  # nothing open: no span
    db.executescript("DELETE FROM t; DELETE FROM t;")
    db.close()
    spans = sent.spans()
    assert [s.name for s in spans] == [
        "CREATE t",
        "INSERT t",
        "COMMIT",
        "SELECT t",
        "SELECT t",
        "DELETE t",
    ]
    assert all(s.kind == 3 and s.scope == "varan.sqlite3" for s in spans) and "secret" not in str(
        spans
    )
    assert spans[3].attributes == {
        "db.system.name": "sqlite", "db.namespace": ":memory:", "db.query.text": "SELECT a FROM t WHERE a = ?",
        "db.operation.name": "SELECT", "db.collection.name": "t", "code.file.path": __file__,
        "code.line.number": line, "code.function.name": "test_sqlite3",
    }  # fmt: skip
    assert spans[4].status == 2 and spans[4].attributes["error.type"] == "sqlite3.OperationalError"


def test_sqlite3_keeps_the_applications_classes(sent: Sent, tmp_path: Any) -> None:
    class Connection(sqlite3.Connection):
        mark = 1

    class Cursor(sqlite3.Cursor):
        def execute(self, *args: Any) -> Any:
            return super().execute(*args)

    path = tmp_path / "shop.db"
    db = sqlite3.connect(path, factory=Connection)
    assert isinstance(db, Connection) and db.mark == 1
    cursor = db.cursor(Cursor)
    assert isinstance(cursor, Cursor)
    cursor.execute("SELECT 1")
    db.row_factory = sqlite3.Row
    assert db.execute("SELECT 5 AS five").fetchone()["five"] == 5
    db.backup(sqlite3.connect(":memory:"))
    db.close()
    assert [s.attributes["db.namespace"] for s in sent.spans()] == ["shop.db", "shop.db"]
    with pytest.raises(sqlite3.OperationalError):
        sqlite3.connect(str(tmp_path / "no" / "where"))
    with pytest.raises(TypeError):
        sqlite3.connect()  # type: ignore[call-arg]


@pytest.mark.parametrize("wrong", [(5,), (), ("SELECT ?", 1, 2), (None,), (b"SELECT 1",)])
def test_sqlite3_wrong_calls_fail_as_ever(sent: Sent, wrong: tuple[Any, ...]) -> None:
    db = sqlite3.connect(":memory:")
    with pytest.raises((TypeError, sqlite3.Error, ValueError)):
        db.cursor().execute(*wrong)
    db.close()


def test_sqlalchemy(sent: Sent) -> None:
    """One span per statement, on the line of the application, none by the driver below."""
    engine = sqlalchemy.create_engine("sqlite://")
    base = orm.declarative_base()

    class Item(base):  # type: ignore[misc, valid-type]
        __tablename__ = "items"
        id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
        name = sqlalchemy.Column(sqlalchemy.String)

    base.metadata.create_all(engine)
    varan.flush(60)
    sent.collector.spans.clear()
    with orm.Session(engine) as session:
        session.add_all([Item(name="secret"), Item(name="b")])
        session.commit()
        found = session.query(Item).filter_by(name="b").all()
        line = here() - 1  # the line above
        assert len(found) == 1
        with pytest.raises(sqlalchemy.exc.OperationalError):
            session.execute(sqlalchemy.text("SELECT * FROM nowhere WHERE x = 'secret'"))
    spans = sent.spans()
    spans = [
        s for i, s in enumerate(spans) if i == 0 or s.name != "INSERT items"
    ]  # one or two, by version
    assert [s.name for s in spans] == ["INSERT items", "COMMIT", "SELECT items", "SELECT nowhere"]
    assert all(s.scope == "varan.sqlalchemy" and s.kind == 3 for s in spans)
    assert (
        spans[2].attributes["code.line.number"] == line
        and spans[2].attributes["code.file.path"] == __file__
    )
    assert spans[2].attributes["db.namespace"] == ":memory:" and spans[3].status == 2
    assert "secret" not in str([s.attributes for s in spans])


def test_sqlalchemy_pool(sent: Sent, tmp_path: Any) -> None:
    """Two connections at most: one thread keeps them while another waits, gives up, and waits again."""
    path = tmp_path / "pool.db"
    engine = sqlalchemy.create_engine(
        f"sqlite:///{path}", poolclass=sqlalchemy.pool.QueuePool, pool_size=1, max_overflow=1, pool_timeout=0.05
    )  # fmt: skip
    pool = {"db.client.connection.pool.name": str(path)}
    first, second = engine.connect(), engine.connect()
    with varan.span("gives up"), pytest.raises(sqlalchemy.exc.TimeoutError):
        engine.connect()
    used = {**pool, "db.client.connection.state": "used"}
    idle = {**pool, "db.client.connection.state": "idle"}
    name = "db.client.connection"
    assert sent.point(f"{name}.count", **used).value == 2
    assert sent.point(f"{name}.count", **idle).value == 0
    assert sent.point(f"{name}.timeouts", **pool).value == 1
    assert sent.point(f"{name}.max", **pool).value == 2
    assert sent.point(f"{name}.idle.max", **pool).value == 1
    assert sent.point(f"{name}.wait_time", **pool).raw.count == 3
    assert sent.point(f"{name}.create_time", **pool).raw.count == 2
    wait = sent.span("wait for a connection")
    assert wait.parent_id == sent.span("gives up").span_id and wait.status == 2
    assert wait.attributes["db.client.connection.pool.name"] == str(path)
    assert wait.attributes["error.type"].endswith("TimeoutError")
    first.close()
    second.close()
    engine.dispose()  # a new pool, the same name
    with varan.span("quick"), engine.connect():
        pass
    assert sent.point(f"{name}.count", **idle).value == 1
    assert sent.point(f"{name}.count", **used).value == 0
    assert sent.point(f"{name}.use_time", **pool).raw.count == 3
    assert sent.point(f"{name}.pending_requests", **pool).value == 0
    engine.dispose()


def test_many_statements_are_not_kept(sent: Sent) -> None:
    statements = _core.Statements(_core.Tracer("t"), "sqlite", "x")
    for i in range(3000):
        statements.start(f"SELECT {'a' * (i % 300)} FROM t{i}").end()
    for odd in (None, 5, b"bytes", "\ud800", object()):
        statements.start(odd).end()
    assert len(sent.spans()) == 3005


def test_requests_headers_on_the_wire(sent: Sent, target: Target) -> None:
    """They are put where the request is written: all of them, once, in each try, whatever the caller gave."""
    trace, span_id = "7" * 32, "8" * 16
    given = {"traceparent": f"00-{trace}-{span_id}-01", "TraceState": "old=1", "X-Own": "1"}

    def application(environ: Any, start_response: Any) -> list[bytes]:
        requests.get(f"{target.url}/200", headers=given)
        requests.get(f"{target.url}/200", headers={"baggage": "own=1"})
        start_response("200 OK", [])
        return []

    environ = {"REQUEST_METHOD": "GET", "HTTP_TRACEPARENT": f"00-{trace}-{span_id}-01"}
    environ |= {"HTTP_TRACESTATE": "a=1,b=2", "HTTP_BAGGAGE": "user=5"}
    _core.run_wsgi(_core.Tracer("t", "1"), application, environ, lambda *args: None)
    spans = [s for s in sent.spans() if s.kind == 3]
    for seen, span in zip(target.seen, spans):
        assert seen["traceparent"] == f"00-{trace}-{span.span_id}-01"
        assert seen["tracestate"] == "a=1,b=2"
    assert [seen["baggage"] for seen in target.seen] == ["user=5", "own=1"]
    assert target.seen[0]["x-own"] == "1" and given["TraceState"] == "old=1"


def test_requests_without_http_client(sent: Sent, target: Target) -> None:
    """Whatever an adapter sends by, each of its requests has the headers."""
    seen: list[Any] = []

    class Pool:
        def urlopen(self, **given: Any) -> Any:
            seen.append(given["headers"].get("traceparent"))
            return urllib3.HTTPResponse(io.BytesIO(), status=204)

    name = "get_connection_with_tls_context"
    if not hasattr(requests.adapters.HTTPAdapter, name):
        name = "get_connection"  # up to 2.31

    class Adapter(requests.adapters.HTTPAdapter):
        pass

    setattr(Adapter, name, lambda *args, **kwargs: Pool())
    session = requests.Session()
    session.mount("http://", Adapter())
    for _ in range(2):
        assert session.get("http://other/").status_code == 204
    delattr(Adapter, name)
    for _ in range(2):
        assert session.get(f"{target.url}/200").status_code == 200
    spans = [s for s in sent.spans() if s.kind == 3]
    assert [s.attributes["http.response.status_code"] for s in spans] == [204, 204, 200, 200]
    seen += [given["traceparent"] for given in target.seen]
    assert seen == [f"00-{s.trace_id}-{s.span_id}-01" for s in spans]


def test_requests_fails(sent: Sent) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with varan.span("outer") as outer:
        with pytest.raises(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/")
        assert varan.current_span() is outer
        with pytest.raises(TypeError):
            requests.adapters.HTTPAdapter().send()
    (span,) = [s for s in sent.spans() if s.kind == 3]
    assert span.status == 2 and "ConnectionError" in span.attributes["error.type"]
    send = requests.adapters.HTTPAdapter.send
    assert send.__name__ == "send" and "Sends PreparedRequest" in send.__doc__
