"""Database drivers against real servers: one span per statement, with its text sanitised and its line, never two."""

from __future__ import annotations

import asyncio
from typing import Any

import mongo_server
import pytest
import sqlalchemy
import sqlalchemy.ext.asyncio
from collector import Span

import varan
from conftest import Sent


def ours(sent: Sent, scope: str) -> list[Span]:
    """Spans of one hook, in the order of their ends."""
    return [s for s in sent.spans() if s.scope == f"varan.{scope}"]


def texts(spans: list[Span]) -> list[str]:
    return [s.attributes["db.query.text"] for s in spans if s.name != "CONNECT"]


def check(span: Span, system: str, namespace: str | None, port: int) -> None:
    assert span.kind == 3
    assert span.attributes["db.system.name"] == system
    assert span.attributes.get("db.namespace") == namespace
    assert span.attributes["server.address"] == "127.0.0.1"
    assert span.attributes["server.port"] == port
    assert span.attributes["code.file.path"] == __file__


# ---- PostgreSQL ----


def test_psycopg2(sent: Sent, postgresql: int) -> None:
    import psycopg2
    from psycopg2 import extras, sql

    target = f"host=127.0.0.1 port={postgresql} user=varan dbname=postgres"
    connection = psycopg2.connect(target)
    assert isinstance(connection, psycopg2.extensions.connection)
    with varan.span("root"):
        with connection, connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE lizards (id int, name text)")
            cursor.executemany("INSERT INTO lizards VALUES (%s, %s)", [(1, "a"), (2, "b")])
            cursor.execute(sql.SQL("SELECT name FROM {}").format(sql.Identifier("lizards")))
            assert [row[0] for row in cursor] == ["a", "b"]
        with connection.cursor(cursor_factory=extras.RealDictCursor) as cursor:
            cursor.execute("SELECT 42 AS answer WHERE 'geheim' = 'geheim'")
            assert cursor.fetchone() == {"answer": 42}
        connection.rollback()
        with pytest.raises(psycopg2.errors.UndefinedTable), connection.cursor() as cursor:
            cursor.execute("SELECT * FROM nowhere")
        connection.rollback()
    extras.register_uuid(conn_or_curs=connection)  # the C code takes ours for its own
    connection.close()
    spans = ours(sent, "psycopg2")
    assert texts(spans) == [
        "CREATE TEMP TABLE lizards (id int, name text)",
        "INSERT INTO lizards VALUES (%s, %s)",
        'SELECT name FROM "lizards"',
        "COMMIT",
        "SELECT ? AS answer WHERE ? = ?",
        "ROLLBACK",
        "SELECT * FROM nowhere",
        "ROLLBACK",
    ]
    root = sent.span("root")
    for span in spans:
        check(span, "postgresql", "postgres", postgresql)
        assert span.parent_id == root.span_id
    assert spans[1].name == "INSERT lizards"
    assert spans[6].status == 2
    assert spans[6].attributes["error.type"] == "psycopg2.errors.UndefinedTable"


def test_psycopg(sent: Sent, postgresql: int) -> None:
    import psycopg

    target = f"host=127.0.0.1 port={postgresql} user=varan dbname=postgres"
    with psycopg.connect(target) as connection:
        connection.execute("CREATE TEMP TABLE lizards (id int)")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO lizards VALUES (%s)", [(1,), (2,)])
            with cursor.copy("COPY lizards FROM STDIN") as copy:
                copy.write_row((3,))
        with connection.cursor(name="server_side") as cursor:
            cursor.execute("SELECT id FROM lizards WHERE id > 0")
            assert len(cursor.fetchall()) == 3
    spans = ours(sent, "psycopg")
    assert texts(spans) == [
        "CREATE TEMP TABLE lizards (id int)",
        "INSERT INTO lizards VALUES (%s)",
        "COPY lizards FROM STDIN",
        "SELECT id FROM lizards WHERE id > ?",
        "COMMIT",
    ]
    for span in spans:
        check(span, "postgresql", "postgres", postgresql)


def test_psycopg_async(sent: Sent, postgresql: int) -> None:
    import psycopg

    async def run() -> None:
        target = f"host=127.0.0.1 port={postgresql} user=varan dbname=postgres"
        async with await psycopg.AsyncConnection.connect(target) as connection:
            await connection.execute("SELECT 1")
            with pytest.raises(psycopg.errors.SyntaxError):
                await connection.execute("SELEKT")
            await connection.rollback()

    with varan.span("root"):
        asyncio.run(run())
    spans = ours(sent, "psycopg")
    assert texts(spans)[:3] == ["SELECT ?", "SELEKT", "ROLLBACK"]
    assert spans[2].status == 2
    root = sent.span("root")
    assert all(s.parent_id == root.span_id for s in spans)


def test_asyncpg(sent: Sent, postgresql: int) -> None:
    import asyncpg

    async def run() -> None:
        pool = await asyncpg.create_pool(
            host="127.0.0.1", port=postgresql, user="varan", database="postgres", min_size=1
        )
        async with pool.acquire() as connection:
            await connection.execute("CREATE TEMP TABLE lizards (id int)")
            await connection.executemany("INSERT INTO lizards VALUES ($1)", [(1,), (2,)])
            assert await connection.fetchval("SELECT count(*) FROM lizards WHERE id < 10") == 2
            await connection.execute("DELETE FROM lizards WHERE id = $1", 1)
            statement = await connection.prepare("SELECT id FROM lizards")
            assert len(await statement.fetch()) == 1
            with pytest.raises(asyncpg.UndefinedTableError):
                await connection.fetch("SELECT * FROM nowhere")
        await pool.close()

    asyncio.run(run())
    spans = ours(sent, "asyncpg")
    assert texts(spans) == [
        "CREATE TEMP TABLE lizards (id int)",
        "INSERT INTO lizards VALUES ($1)",
        "SELECT count(*) FROM lizards WHERE id < ?",
        "DELETE FROM lizards WHERE id = $1",
        "SELECT id FROM lizards",
        "SELECT * FROM nowhere",
    ]
    for span in spans:
        check(span, "postgresql", "postgres", postgresql)
    assert spans[-1].status == 2


# ---- MySQL ----


def mysql_session(connect: Any, port: int) -> None:
    connection = connect(
        host="127.0.0.1", port=port, user="varan", password="secret", database="varan"
    )
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE lizards (id int, name varchar(20))")
    cursor.executemany("INSERT INTO lizards VALUES (%s, %s)", [(1, "a"), (2, "b")])
    connection.commit()
    cursor.execute('SELECT name FROM lizards WHERE id = %s AND name <> "geheim"', (1,))
    assert cursor.fetchall() == (("a",),)
    with pytest.raises(Exception, match="nowhere"):
        cursor.execute("SELECT * FROM nowhere")
    connection.rollback()
    connection.close()


MYSQL_TEXTS = [
    "CREATE TEMPORARY TABLE lizards (id int, name varchar(?))",
    "INSERT INTO lizards VALUES (%s, %s)",
    "COMMIT",
    "SELECT name FROM lizards WHERE id = %s AND name <> ?",
    "SELECT * FROM nowhere",
    "ROLLBACK",
]


def test_pymysql(sent: Sent, mariadb: int) -> None:
    import pymysql

    mysql_session(pymysql.connect, mariadb)
    spans = ours(sent, "pymysql")
    assert texts(spans) == MYSQL_TEXTS
    for span in spans:
        check(span, "mysql", "varan", mariadb)
    assert spans[4].status == 2


def test_mysqlclient(sent: Sent, mariadb: int) -> None:
    import MySQLdb

    mysql_session(MySQLdb.connect, mariadb)
    spans = ours(sent, "mysqlclient")
    assert texts(spans) == MYSQL_TEXTS
    for span in spans:
        check(span, "mysql", "varan", mariadb)
    assert spans[4].status == 2


# ---- Below SQLAlchemy: its spans alone ----


@pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
def test_sqlalchemy_postgresql(sent: Sent, postgresql: int, driver: str) -> None:
    engine = sqlalchemy.create_engine(
        f"postgresql+{driver}://varan@127.0.0.1:{postgresql}/postgres"
    )
    with engine.connect() as connection:
        sent.spans()
        sent.collector.spans.clear()
        connection.execute(sqlalchemy.text("SELECT 1"))
        connection.commit()
    engine.dispose()
    assert texts(ours(sent, "sqlalchemy")) == ["SELECT ?", "COMMIT"]
    assert ours(sent, driver) == []


def test_sqlalchemy_mysql(sent: Sent, mariadb: int) -> None:
    for driver in ("pymysql", "mysqldb"):
        engine = sqlalchemy.create_engine(
            f"mysql+{driver}://varan:secret@127.0.0.1:{mariadb}/varan"
        )
        with engine.connect() as connection:
            sent.spans()
            sent.collector.spans.clear()
            connection.execute(sqlalchemy.text("SELECT 1"))
            connection.commit()
        engine.dispose()
        assert texts(ours(sent, "sqlalchemy")) == ["SELECT ?", "COMMIT"]
        assert ours(sent, "pymysql") == ours(sent, "mysqlclient") == []


def test_sqlalchemy_asyncpg(sent: Sent, postgresql: int) -> None:
    async def run() -> None:
        engine = sqlalchemy.ext.asyncio.create_async_engine(
            f"postgresql+asyncpg://varan@127.0.0.1:{postgresql}/postgres"
        )
        async with engine.connect() as connection:
            varan.flush(60)
            sent.collector.spans.clear()
            await connection.execute(sqlalchemy.text("SELECT 1"))
            await connection.commit()
        await engine.dispose()

    asyncio.run(run())
    assert texts(ours(sent, "sqlalchemy")) == ["SELECT ?", "COMMIT"]
    assert ours(sent, "asyncpg") == []


# ---- Redis ----


def test_redis(sent: Sent, redis_port: int) -> None:
    import redis

    client = redis.Redis(host="127.0.0.1", port=redis_port, db=2, decode_responses=True)
    with varan.span("root"):
        client.set("geheim", "wert")
        assert client.get("geheim") == "wert"
        with client.pipeline() as pipeline:
            pipeline.incr("counter").expire("counter", 10)
            pipeline.execute()
        with pytest.raises(redis.ResponseError):
            client.incr("geheim")
        client.mget([f"k{i}" for i in range(50)])
    client.close()
    spans = ours(sent, "redis")
    root = sent.span("root")
    assert [s.name for s in spans] == ["SET", "GET", "PIPELINE", "INCRBY", "MGET"]
    assert texts(spans) == [
        "SET ? ?", "GET ?", "INCRBY ? ?\nEXPIRE ? ?", "INCRBY ? ?", "MGET ? ? ? ? ? ? … (50)",
    ]  # fmt: skip
    for span in spans:
        check(span, "redis", "2", redis_port)
        assert span.parent_id == root.span_id
    assert spans[2].attributes["db.operation.batch.size"] == 2
    assert spans[3].status == 2
    assert "geheim" not in str([s.attributes for s in spans])


def test_redis_async(sent: Sent, redis_port: int) -> None:
    import redis.asyncio

    async def run() -> None:
        client = redis.asyncio.Redis(host="127.0.0.1", port=redis_port)
        await client.set("a", 1)
        async with client.pipeline(transaction=True) as pipeline:
            await pipeline.get("a").get("b").execute()
        await getattr(client, "aclose", client.close)()  # its older name

    asyncio.run(run())
    spans = ours(sent, "redis")
    assert [s.name for s in spans] == ["SET", "PIPELINE"]
    assert spans[1].attributes["db.query.text"] == "GET ?\nGET ?"


# ---- MongoDB ----


def test_pymongo(sent: Sent) -> None:
    import pymongo

    server = mongo_server.start()
    port = server.server_address[1]
    client: Any = pymongo.MongoClient(f"mongodb://127.0.0.1:{port}/", directConnection=True)
    with varan.span("root"):
        assert list(client.shop.lizards.find({"name": "geheim", "age": {"$gt": 3}})) == [
            {"_id": 1, "name": "lizard"}
        ]
        client.shop.lizards.insert_one({"_id": 2, "name": "geheim"})
        with pytest.raises(pymongo.errors.OperationFailure):
            client.shop.command("collMod", "lizards")
    client.close()
    server.shutdown()
    server.server_close()
    spans = ours(sent, "pymongo")
    root = sent.span("root")
    assert [s.name for s in spans] == ["find lizards", "insert lizards", "collMod lizards"]
    for span in spans:
        assert span.attributes["db.system.name"] == "mongodb"
        assert span.attributes["db.namespace"] == "shop"
        assert span.attributes["db.collection.name"] == "lizards"
        assert span.attributes["server.port"] == port
        assert span.parent_id == root.span_id
        assert "geheim" not in str(span.attributes)
    assert spans[0].attributes["db.query.text"] == (
        '{"find": "lizards", "filter": {"name": ?, "age": {"$gt": ?}}}'
    )
    assert spans[2].status == 2
    assert spans[2].attributes["error.type"] == "Unauthorized"
