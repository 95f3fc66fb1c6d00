"""Database drivers at their edges: cursors on the server, copies, pipelines, transactions, procedures, connecting, waiting
for pools, cancelled and huge statements."""

from __future__ import annotations

import asyncio
import io
import sqlite3
import time
from typing import Any

import pytest
import servers
import sqlalchemy
import sqlalchemy.ext.asyncio
from test_databases import ours, texts

import varan
from conftest import Sent
from varan import _core
from varan.hooks import _database


def lines_are_ours(spans: list[Any]) -> None:
    assert {s.attributes.get("code.file.path") for s in spans} == {__file__}


# ---- sqlite3 ----


def test_each_line_of_a_function(sent: Sent) -> None:
    """What is kept of a place in the code is that place's: of one function, of two, of one that is gone."""
    cursor = sqlite3.connect(":memory:").cursor()
    source = "def ask(cursor):\n{}    cursor.execute('select 1')\n    cursor.execute('select 2')\n"
    with varan.span("root"):
        for gap in (0, 1, 5, 0, 1, 5):
            names: dict[str, Any] = {}
            exec(compile(source.format("\n" * gap), __file__, "exec"), names)
            for _ in range(3):
                names["ask"](cursor)
            del names
    queries = sent.spans()[:-1]
    lines = [s.attributes["code.line.number"] for s in queries]
    assert lines == [gap + n for gap in (0, 1, 5, 0, 1, 5) for _ in range(3) for n in (2, 3)]
    lines_are_ours(queries)
    assert {s.attributes["code.function.name"] for s in queries} == {"ask"}


def test_sqlite3_cursors_keep_their_signature(sent: Sent) -> None:
    class Cursor(sqlite3.Cursor):
        def execute(self, query: Any, params: Any = ()) -> Any:
            "What it does."
            return super().execute(query, params)

    cursor = sqlite3.connect(":memory:").cursor(factory=Cursor)
    with varan.span("root"):
        assert cursor.execute("select ?", params=(5,)).fetchone() == (5,)
        assert cursor.execute(query="select ?", params=(6,)).fetchone() == (6,)
        with pytest.raises(TypeError):
            cursor.execute()
        with pytest.raises(sqlite3.OperationalError):
            cursor.execute("nonsense")
    assert cursor.execute.__doc__ == "What it does." and type(cursor).execute.__name__ == "execute"
    assert [s.status for s in sent.spans()] == [0, 0, 2, 0]


# ---- psycopg 3 ----


def test_psycopg(sent: Sent, postgresql: int) -> None:
    import psycopg
    from psycopg import sql

    target = f"host=127.0.0.1 port={postgresql} user=varan dbname=postgres"
    with varan.span("root"), psycopg.connect(target, autocommit=True) as connection:
        with connection.transaction():
            connection.execute(sql.SQL("CREATE TEMP TABLE {} (id int)").format(sql.Identifier("t")))
            with connection.transaction():  # a savepoint
                connection.execute(b"INSERT INTO t VALUES (1) /* geheim */ -- geheim\n")
        with pytest.raises(ZeroDivisionError), connection.transaction():
            raise ZeroDivisionError
        with connection.pipeline():
            connection.execute("SELECT 1")
            connection.execute("SELECT 2")
        cursor = connection.cursor()
        cursor.execute("SELECT id FROM t WHERE id = %s", (1,), prepare=True)
        assert list(cursor.stream("SELECT generate_series(1, 3)")) == [(1,), (2,), (3,)]
        for _ in cursor.stream("SELECT generate_series(1, 5)"):
            break
        with cursor.copy("COPY (SELECT 'geheim') TO STDOUT") as copy:
            assert b"".join(copy) == b"geheim\n"
        with (
            pytest.raises(psycopg.errors.BadCopyFileFormat),
            cursor.copy("COPY t FROM STDIN") as copy,
        ):
            copy.write("no number\tat all\n")
        connection.commit()  # there is no transaction: nothing goes to the server
    spans = ours(sent, "psycopg")
    assert texts(spans[1:]) == [
        'CREATE TEMP TABLE "t" (id int)', "INSERT INTO t VALUES (?)", "COMMIT", "ROLLBACK", "SELECT ?", "SELECT ?",
        "SELECT id FROM t WHERE id = %s", "SELECT generate_series(?, ?)", "SELECT generate_series(?, ?)",
        "COPY (SELECT ?) TO STDOUT", "COPY t FROM STDIN",
    ]  # fmt: skip
    assert spans[0].name == "CONNECT"
    assert spans[0].attributes["server.port"] == postgresql
    assert "geheim" not in str([s.attributes for s in spans])
    assert spans[-1].status == 2
    lines_are_ours(spans)


def test_psycopg_async_stream_and_cancelled(sent: Sent, postgresql: int) -> None:
    import psycopg

    async def run() -> None:
        with varan.span("root"):
            connection = await psycopg.AsyncConnection.connect(
                f"host=127.0.0.1 port={postgresql} user=varan dbname=postgres"
            )
            async with connection:
                async with connection.cursor() as cursor:
                    rows = [row async for row in cursor.stream("SELECT generate_series(1, 2)")]
                    assert rows == [(1,), (2,)]
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(connection.execute("SELECT pg_sleep(60)"), 0.2)
                await connection.rollback()
                async with connection.transaction():
                    await connection.execute("SELECT 1")

    asyncio.run(run())
    spans = ours(sent, "psycopg")
    assert [s.name for s in spans] == [
        "CONNECT",
        "SELECT",
        "SELECT",
        "ROLLBACK",
        "SELECT",
        "COMMIT",
    ]
    assert spans[2].attributes["error.type"] in (
        "asyncio.exceptions.CancelledError",
        "psycopg.errors.QueryCanceled",
    )
    lines_are_ours(spans)


def test_connecting_fails(sent: Sent) -> None:
    import psycopg
    import psycopg2
    import pymysql

    with servers.refusing_port() as port, varan.span("root"):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"host=127.0.0.1 port={port}")
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(host="127.0.0.1", port=port, password="geheim")
        with pytest.raises(pymysql.OperationalError):
            pymysql.connect(host="127.0.0.1", port=port, password="geheim")
    spans = [s for s in sent.spans() if s.name == "CONNECT"]
    assert [s.scope for s in spans] == ["varan.psycopg", "varan.psycopg2", "varan.pymysql"]
    for span in spans:
        assert span.status == 2
        assert span.attributes["server.address"] == "127.0.0.1"
        assert span.attributes["server.port"] == port
    assert "geheim" not in str([s.attributes for s in spans])


# ---- psycopg2 ----


def test_psycopg2(sent: Sent, postgresql: int) -> None:
    from psycopg2 import extras, pool

    target = f"host=127.0.0.1 port={postgresql} user=varan dbname=postgres"
    with varan.span("root"):
        connections = pool.SimpleConnectionPool(1, 1, target)
        connection = connections.getconn()
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (id int)")
        cursor.copy_from(io.StringIO("1\n2\n"), "t", columns=("id",))
        cursor.copy_to(io.StringIO(), "t")
        cursor.copy_expert("COPY t TO STDOUT", io.StringIO())
        extras.execute_values(
            cursor, "INSERT INTO t VALUES %s", [(i,) for i in range(50_000)], page_size=50_000
        )
        cursor.callproc("pg_backend_pid")
        connection.commit()
        with connection.cursor(name="on_server") as on_server:
            on_server.execute("SELECT id FROM t")
            assert len(on_server.fetchmany(10)) == 10
        connection.rollback()
        connection.commit()  # nothing to commit
        connections.putconn(connection)
        connections.closeall()
    spans = ours(sent, "psycopg2")
    assert [s.name for s in spans] == [
        "CONNECT", "CREATE t", "COPY t", "COPY t", "COPY t", "INSERT t", "CALL", "COMMIT", "SELECT t", "ROLLBACK",
    ]  # fmt: skip
    assert texts(spans[2:5]) == ["COPY t FROM STDIN", "COPY t TO STDOUT", "COPY t TO STDOUT"]
    assert spans[5].attributes["db.query.text"].startswith("INSERT INTO t VALUES (?),(?),(?)")
    assert len(spans[5].attributes["db.query.text"]) <= 8192
    assert spans[6].attributes["db.query.text"] == "CALL pg_backend_pid"
    lines_are_ours(spans)


# ---- asyncpg ----


def test_asyncpg(sent: Sent, postgresql: int) -> None:
    import asyncpg

    async def run() -> None:
        with varan.span("root"):
            pool = await asyncpg.create_pool(
                f"postgresql://varan@127.0.0.1:{postgresql}/postgres", min_size=1, max_size=1
            )
            async with pool.acquire() as connection:
                await connection.execute("CREATE TEMP TABLE t (id int)")
                await connection.copy_records_to_table("t", records=[(1,), (2,)])
                await connection.copy_from_query("SELECT id FROM t", output=io.BytesIO())
                async with connection.transaction():
                    assert [r["id"] async for r in connection.cursor("SELECT id FROM t")] == [1, 2]
                    cursor = await connection.cursor("SELECT id FROM t WHERE id > 1")
                    assert len(await cursor.fetch(5)) == 1
                statement = await connection.prepare("SELECT $1::int")
                assert await statement.fetchval(5) == 5
                with pytest.raises(asyncio.TimeoutError):
                    await connection.fetch("SELECT pg_sleep(60)", timeout=0.2)
                waiting = asyncio.create_task(wait(pool))
                await asyncio.sleep(0.05)
            await waiting
            await pool.close()

    async def wait(pool: Any) -> None:
        async with pool.acquire() as connection:
            assert await connection.fetchval("SELECT 1") == 1

    asyncio.run(run())
    spans = ours(sent, "asyncpg")
    assert [s.name for s in spans] == [
        "CONNECT", "CREATE t", "COPY t", "COPY t", "BEGIN", "SELECT t", "SELECT t", "COMMIT", "SELECT", "SELECT", "SELECT",
    ]  # fmt: skip
    assert spans[0].attributes["server.port"] == postgresql
    assert spans[9].status == 2
    lines_are_ours(spans)
    wait_span = max(ours(sent, "pools"), key=lambda s: s.duration_ns)
    assert wait_span.name == "wait for a connection"
    assert wait_span.duration_ns > 20_000_000
    name = f"127.0.0.1:{postgresql}/postgres"
    assert wait_span.attributes["db.client.connection.pool.name"] == name
    point = sent.point("db.client.connection.wait_time", **{"db.client.connection.pool.name": name})
    assert point.raw.count >= 2


# ---- Pools ----


def test_pools_that_are_used_up(sent: Sent, postgresql: int, redis_port: int) -> None:
    import psycopg_pool
    import redis
    from sqlalchemy.pool import QueuePool

    with varan.span("root"):
        target = f"host=127.0.0.1 port={postgresql} user=varan dbname=postgres"
        with psycopg_pool.ConnectionPool(target, min_size=1, max_size=1, name="mine") as pool:
            pool.wait(60)
            with pool.connection() as connection:
                connection.execute("SELECT 1")
                with pytest.raises(psycopg_pool.PoolTimeout):
                    pool.getconn(timeout=0.05)
        blocking = redis.BlockingConnectionPool(
            host="127.0.0.1", port=redis_port, max_connections=1, timeout=0.05
        )
        client = redis.Redis(connection_pool=blocking)
        taken = blocking.get_connection("_")  # what older versions ask for
        with pytest.raises(redis.ConnectionError):
            client.get("a")
        blocking.release(taken)
        engine = sqlalchemy.create_engine(
            "sqlite://", poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.05,
            pool_logging_name="lite",
        )  # fmt: skip
        with engine.connect(), pytest.raises(sqlalchemy.exc.TimeoutError):
            engine.connect()
    failed = [s for s in ours(sent, "pools") if s.status == 2]
    names = [s.attributes["db.client.connection.pool.name"] for s in failed]
    assert names == ["mine", f"127.0.0.1:{redis_port}", "lite"]
    root = sent.span("root")
    assert all(s.parent_id == root.span_id for s in failed)


# ---- MySQL ----


@pytest.mark.parametrize("driver", ["pymysql", "mysqlclient"])
def test_mysql(sent: Sent, mariadb: int, driver: str) -> None:
    import MySQLdb
    import pymysql
    from MySQLdb import cursors as c_cursors
    from pymysql import cursors

    connect, unbuffered = (
        (pymysql.connect, cursors.SSDictCursor)
        if driver == "pymysql"
        else (MySQLdb.connect, c_cursors.SSDictCursor)
    )
    with varan.span("root"):
        connection: Any = connect(
            host="127.0.0.1", port=mariadb, user="varan", password="secret", database="varan"
        )
        cursor = connection.cursor()
        cursor.execute(b"DROP PROCEDURE IF EXISTS twice  # geheim\n")
        cursor.execute("CREATE PROCEDURE twice(IN n INT) SELECT n * 2 AS n")
        cursor.callproc("twice", (21,))
        assert cursor.fetchall() == ((42,),)
        cursor.close()
        connection.begin()
        with connection.cursor(unbuffered) as rows:
            rows.execute("SELECT 1 AS n UNION SELECT 2")
            assert [row["n"] for row in rows] == [1, 2]
        connection.commit()
        connection.close()
    spans = ours(sent, driver)
    assert [s.name for s in spans] == [
        "CONNECT", "DROP PROCEDURE", "CREATE PROCEDURE", "CALL", "BEGIN", "SELECT", "COMMIT",
    ] or [s.name.split(" ")[0] for s in spans] == ["CONNECT", "DROP", "CREATE", "CALL", "BEGIN", "SELECT", "COMMIT"]  # fmt: skip
    assert spans[3].attributes["db.query.text"] == "CALL twice"
    assert "geheim" not in str([s.attributes for s in spans])
    lines_are_ours(spans)


# ---- Redis ----


def test_redis(sent: Sent, redis_port: int) -> None:
    import redis

    client = redis.Redis(host="127.0.0.1", port=redis_port)
    with client.pipeline(transaction=True) as pipeline:
        pipeline.watch("geheim")
        assert pipeline.get("geheim") is None
        pipeline.multi()
        pipeline.set("geheim", b"\xff\x00")
        pipeline.execute()
        pipeline.watch("geheim")
        client.set("geheim", "changed")
        pipeline.multi()
        pipeline.get("geheim")
        with pytest.raises(redis.WatchError):
            pipeline.execute()
    with client.pipeline(transaction=False) as pipeline:
        for i in range(100):
            pipeline.set(f"geheim{i}", i)
        pipeline.execute()
    client.execute_command(b"SET", b"\xff", "x" * 1_000_000)
    assert client.eval("return 1", 0) == 1
    assert next(client.scan_iter("nothing*", count=100_000), None) is None
    client.close()
    with servers.refusing_port() as port, pytest.raises(redis.ConnectionError):
        redis.Redis(host="127.0.0.1", port=port).ping()
    spans = ours(sent, "redis")
    assert [s.name for s in spans] == [
        "WATCH", "GET", "PIPELINE", "WATCH", "SET", "PIPELINE", "PIPELINE", "SET", "EVAL", "SCAN", "PING",
    ]  # fmt: skip
    assert [s.status for s in spans] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 2]
    assert spans[6].attributes["db.operation.batch.size"] == 100
    assert spans[6].attributes["db.query.text"].endswith("… (100 commands)")
    assert "geheim" not in str([s.attributes for s in spans])
    lines_are_ours(spans)


# ---- SQLite, SQLAlchemy ----


def test_aiosqlite(sent: Sent) -> None:
    import aiosqlite

    async def run() -> None:
        async with aiosqlite.connect(":memory:") as connection:
            with varan.span("root"):
                await connection.execute("CREATE TABLE t (id int)")
                async with connection.execute("SELECT id FROM t") as cursor:
                    assert await cursor.fetchall() == []

    asyncio.run(run())
    root = sent.span("root")
    assert [(s.name, s.parent_id) for s in ours(sent, "sqlite3")] == [
        ("CREATE t", root.span_id), ("SELECT t", root.span_id),
    ]  # fmt: skip


def test_sqlalchemy_async_names_the_line(sent: Sent, postgresql: int) -> None:
    """The statement runs in a greenlet of SQLAlchemy's; the line is that of the coroutine which waits."""

    async def query(engine: Any) -> None:
        async with engine.connect() as connection:
            await connection.execute(sqlalchemy.text("SELECT 1"))

    async def run() -> None:
        for url in (
            "sqlite+aiosqlite://",
            f"postgresql+asyncpg://varan@127.0.0.1:{postgresql}/postgres",
        ):
            engine = sqlalchemy.ext.asyncio.create_async_engine(url)
            await query(engine)
            await engine.dispose()

    with varan.span("root"):
        asyncio.run(run())
    spans = [s for s in ours(sent, "sqlalchemy") if s.attributes["db.query.text"] == "SELECT ?"]
    assert len(spans) == 2
    lines_are_ours(spans)
    assert {s.attributes["code.function.name"].rpartition(".")[2] for s in spans} == {"query"}


def test_statements_of_all_sizes_and_kinds(sent: Sent) -> None:
    connection = sqlite3.connect(":memory:")
    numbers = ", ".join(str(i) for i in range(100_000))
    huge = f"SELECT 1 WHERE 1 IN ({numbers})"
    assert connection.execute(huge).fetchone() == (1,)
    connection.execute("SELECT 'ä\u2603' -- \u00e4 geheim")
    with pytest.raises(UnicodeEncodeError):
        connection.execute("SELECT '\ud800'")
    spans = ours(sent, "sqlite3")
    assert len(spans[0].attributes["db.query.text"]) <= 8192
    assert spans[1].attributes["db.query.text"] == "SELECT ?"
    assert spans[2].status == 2

    class Template:
        strings = ("SELECT ", " FROM t")
        interpolations = ("geheim",)

    assert _database.text_of(Template()) == "SELECT %s FROM t"
    assert _database.text_of(b"SELECT \xff") == "SELECT \ufffd"
    assert len(_database.text_of(memoryview(b"x" * 1_000_000))) == _database.TEXT_MAX
    began = time.process_time()
    for _ in range(20):
        _core.sanitize_sql(huge)
    assert time.process_time() - began < 5, "not linear"
    assert _core.sanitize_sql("SELECT a # b", "postgresql") == "SELECT a # b"
