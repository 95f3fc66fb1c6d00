"""The callables of C that stand in the place of database clients' methods, on clients that are none: whatever is given
goes to the method as it is, and what is told of it is what the hook's own function would tell."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import Sent
from varan import _core
from varan.hooks import redis as redis_hook
from varan.hooks._database import Databases, patch_statements

DATABASES = Databases("varan.test", "postgresql")


class Text(str):
    pass


class Pool:
    def __init__(self) -> None:
        self.connection_kwargs = {"host": "h", "port": 1, "db": 3}


class Client:
    """As redis-py's."""

    def __init__(self) -> None:
        self.connection_pool = Pool()

    def execute_command(self, *args: Any, **options: Any) -> Any:
        """What it does."""
        if args and isinstance(args[-1], BaseException):
            raise args[-1]
        return args, options


PLAIN = Client.execute_command


@pytest.fixture(autouse=True)
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Client, "execute_command", PLAIN)
    redis_hook._wrap_command(Client, "execute_command")


@pytest.mark.parametrize(
    "args, told",
    [
        (("GET", "k"), "GET ?"), (("get", "k"), "get ?"), (("PING",), "PING"), (("CONFIG GET", 1), "CONFIG GET ?"),
        (("MGET", *"abcdef"), "MGET ? ? ? ? ? ?"), (("MGET", *"abcdefg"), "MGET ? ? ? ? ? ? … (7)"), ((b"GET", "k"), "GET ?"),
        ((Text("GET"), "k"), "GET ?"), (("ÄÖ", "\ud800"), "ÄÖ ?"), ((5, "k"), "5 ?"), ((), None),
    ],
)  # fmt: skip
def test_commands(sent: Sent, args: Any, told: str | None) -> None:
    client = Client()
    for _ in range(3):  # the first one finds out, the others know
        assert client.execute_command(*args, a=1) == (args, {"a": 1})
    spans = sent.spans()
    assert [s.attributes["db.query.text"] for s in spans] == ([told] * 3 if told else [])
    for span in spans:
        name = (told or "").partition(" ?")[0].upper()
        assert span.name == span.attributes["db.operation.name"] == name
        assert span.attributes["db.namespace"] == "3" and span.attributes["server.address"] == "h"


def test_commands_that_fail_or_are_off(sent: Sent) -> None:
    client = Client()
    for error in (ValueError("no"), ValueError("no"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as raised:
            client.execute_command("SET", error)
        assert raised.value is error
    assert [s.attributes.get("error.type") for s in sent.spans()] == ["ValueError"] * 2 + [None]
    client.varan_off = True  # type: ignore[attr-defined]
    client.execute_command("GET")
    assert len(sent.spans()) == 3
    with pytest.raises(TypeError):
        Client.execute_command()  # type: ignore[call-arg]
    assert Client.execute_command.__doc__ == "What it does."
    assert Client.execute_command.__name__ == "execute_command"


def test_many_commands(sent: Sent) -> None:
    client = Client()
    for i in range(3000):
        client.execute_command(f"C{i}", 1)
    assert client.execute_command("C0", 1) == (("C0", 1), {})


class Connection:
    varan_off = False


class Cursor:
    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(query, BaseException):
            raise query
        return query, args, kwargs


def _statements_of(connection: Any) -> Any:
    if getattr(connection, "broken", False):
        raise LookupError
    statements = connection._varan_statements = DATABASES.get("db", "h", 1)
    return statements


patch_statements(Cursor, "execute", _statements_of, "connection")
patch_statements(Cursor, "nothing", _statements_of, "connection")  # it has none


def test_statements(sent: Sent) -> None:
    cursor = Cursor(Connection())
    for _ in range(2):
        assert cursor.execute("SELECT 1", (1,), a=2) == ("SELECT 1", ((1,),), {"a": 2})
        assert cursor.execute(query="SELECT 2") == ("SELECT 2", (), {})
        assert cursor.execute(b"SELECT 3")[0] == b"SELECT 3"
        assert cursor.execute(Text("SELECT 4"))[0] == "SELECT 4"
        long = "SELECT " + "5" * (70 << 10)
        assert cursor.execute(long)[0] is long
    texts = [s.attributes["db.query.text"] for s in sent.spans()]
    assert len(texts) == 10 and texts[:5] == texts[5:] and set(texts) == {"SELECT ?"}
    with pytest.raises(TypeError):
        cursor.execute()
    with pytest.raises(ZeroDivisionError):
        cursor.execute(ZeroDivisionError())
    assert sent.spans()[-1].attributes["error.type"] == "ZeroDivisionError"


def test_connections_that_are_off_or_odd(sent: Sent) -> None:
    cursor = Cursor(Connection())
    cursor.execute("SELECT 1")
    cursor.connection.varan_off = True
    cursor.execute("SELECT 1")
    broken = Cursor(Connection())
    broken.connection.broken = True
    assert broken.execute("SELECT 1")[0] == "SELECT 1"
    assert Cursor(None).execute("SELECT 1")[0] == "SELECT 1"
    gone = Cursor(Connection())
    del gone.connection
    assert gone.execute("SELECT 1")[0] == "SELECT 1"
    assert len(sent.spans()) == 1


def test_what_they_are_made_of() -> None:
    with pytest.raises(TypeError):
        _core.CommandMethod(PLAIN)
    with pytest.raises(TypeError):
        _core.DatabaseMethod(PLAIN, None)
