"""Log records: they leave with the ids of the span, and logging works as before, whatever happens."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from collector import Collector

import varan
from conftest import Program, Sent


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("shop.orders")
    logger.setLevel(logging.DEBUG)
    yield logger
    logger.handlers.clear()
    logger.filters.clear()
    logger.propagate = True


def test_record(sent: Sent, logger: logging.Logger) -> None:
    begun = time.time_ns()
    with varan.span("work") as span:
        logger.info("order %d of %s", 5, "you", extra={"order": 5, "tags": ["a"], "none": None})
    done = time.time_ns()
    (log,) = sent.logs()
    assert log.body == "order 5 of you" and (log.severity, log.severity_text) == (9, "INFO")
    assert (log.trace_id, log.span_id) == (span.trace_id, span.span_id) and log.raw.flags == 1
    assert log.scope == "shop.orders" and log.resource["service.name"] == "tests"
    code = {k: log.attributes.pop(k) for k in list(log.attributes) if k.startswith("code.")}
    assert code["code.file.path"] == __file__ and code["code.function.name"] == "test_record"
    assert isinstance(code["code.line.number"], int)
    assert log.attributes == {"order": 5, "tags": ["a"], "thread.name": "MainThread"}
    # logging's own time is a float, whose last digits are hundreds of nanoseconds.
    assert begun - 1000 <= log.raw.time_unix_nano <= log.raw.observed_time_unix_nano + 1000
    assert log.raw.observed_time_unix_nano <= done


def test_the_message_is_not_said_again_in_colours(sent: Sent, logger: logging.Logger) -> None:
    """As uvicorn's own records do: its formatter prints `color_message` in place of the message."""
    logger.info(
        "Started worker [%d]", 7, extra={"color_message": "Started worker [\x1b[36m%d\x1b[0m]"}
    )
    logger.info("Ready", extra={"color_message": "\x1b[1mReady\x1b[0m", "workers": 2})
    plain, with_more = sent.logs()
    assert plain.body == "Started worker [7]" and "color_message" not in plain.attributes
    assert with_more.attributes["workers"] == 2 and "color_message" not in with_more.attributes


def test_levels(sent: Sent, logger: logging.Logger) -> None:
    for level in (5, 10, 20, 25, 30, 40, 50, 60):
        logger.setLevel(1)
        logger.log(level, "x")
    found = [(x.severity, x.severity_text) for x in sent.logs()]
    assert found == [(1, "TRACE"), (5, "DEBUG"), (9, "INFO"), (9, "INFO"), (13, "WARN"), (17, "ERROR"), (21, "FATAL"),
                     (21, "FATAL")]  # fmt: skip


def test_colours_of_the_terminal_stay_there(sent: Sent, logger: logging.Logger) -> None:
    stream = io.StringIO()
    logger.addHandler(logging.StreamHandler(stream))
    logger.info("%s - %d", '\x1b[31m\x1b[1m"GET /\u00fc HTTP/1.1" 500\x1b[0m', 7)
    logger.info("a [31m lone \x1b and an open \x1b[31")
    logger.info("\x1b]0;title\x07\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x1b(Bplain\ttext\n")
    bodies = [log.body for log in sent.logs()]
    assert bodies == [
        '"GET /\u00fc HTTP/1.1" 500 - 7',
        "a [31m lone \x1b and an open \x1b[31",
        "link plain\ttext\n",
    ]
    assert stream.getvalue().startswith('\x1b[31m\x1b[1m"GET')


def test_exception(sent: Sent, logger: logging.Logger) -> None:
    try:
        {}["x"]
    except KeyError:
        logger.exception("failed")
    (log,) = sent.logs()
    assert (
        log.attributes["exception.type"] == "KeyError"
        and log.attributes["exception.message"] == "'x'"
    )
    assert log.attributes["exception.stacktrace"].endswith("KeyError: 'x'")


def test_outside_a_span(sent: Sent, logger: logging.Logger) -> None:
    logger.warning("alone")
    (log,) = sent.logs()
    assert log.trace_id == "" and log.span_id == ""


def test_filters_and_levels_are_the_applications(sent: Sent, logger: logging.Logger) -> None:
    logger.setLevel(logging.WARNING)
    logger.info("not enabled")
    logger.addFilter(lambda record: "secret" not in record.getMessage())
    logger.warning("secret")
    logger.warning("told")
    assert [x.body for x in sent.logs()] == ["told"]


def test_output_is_unchanged(sent: Sent, logger: logging.Logger) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(funcName)s %(message)s"))
    logger.addHandler(handler)
    logger.propagate = False
    logger.warning("hello")
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "handlers": {"null": {"class": "logging.NullHandler"}},
         "root": {"handlers": ["null"], "level": "INFO"}}
    )  # fmt: skip
    logger.warning("again")
    assert stream.getvalue() == "test_output_is_unchanged hello\ntest_output_is_unchanged again\n"
    assert len(sent.logs()) == 2


def test_hostile_records(sent: Sent, logger: logging.Logger, capfd: Any) -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    class Logs:
        def __str__(self) -> str:
            logger.warning("from within")
            return "logs"

    logging.raiseExceptions = False
    logger.propagate = False
    logger.addHandler(logging.StreamHandler(io.StringIO()))
    try:
        logger.warning("too few %s %s", 1)
        logger.warning(Bad())
        logger.warning(Logs())
        logger.warning("☃ \ud800 \0", extra={"bad": Bad(), "logs": Logs(), "big": 2**70})
        logger.warning("x" * 1_000_000)
        logger.warning({"a": 1})
    finally:
        logging.raiseExceptions = True
    bodies = [x.body for x in sent.logs()]
    assert (
        "too few %s %s" in bodies
        and "☃ \\ud800 \0" in bodies
        and "{'a': 1}" in bodies
        and "logs" in bodies
    )
    assert max(map(len, bodies)) == 16384


def test_handler_that_logs_does_not_recurse(sent: Sent, logger: logging.Logger) -> None:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name != "inner":
                logging.getLogger("inner").warning("from the handler")
                varan.flush(60)

    logger.addHandler(Handler())
    logger.warning("outer")
    assert sorted(x.body for x in sent.logs()) == ["from the handler", "outer"]


def test_handler_that_raises(sent: Sent, logger: logging.Logger) -> None:
    class Handler(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise ZeroDivisionError

    logger.addHandler(Handler())
    with pytest.raises(ZeroDivisionError):
        logger.warning("kept")
    assert [x.body for x in sent.logs()] == ["kept"]


def test_threads(sent: Sent, logger: logging.Logger) -> None:
    def work(i: int) -> None:
        for k in range(100):
            logger.warning("%d %d", i, k)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({x.body for x in sent.logs()}) == 800


def test_many_loggers(sent: Sent) -> None:
    """The table of scopes is full at some point: records still arrive."""
    for i in range(1500):
        logging.getLogger(f"many.{i}").warning("%d", i)
    assert sorted(int(x.body) for x in sent.logs()) == list(range(1500))


def test_exception_in_a_thread(program: Program, collector: Collector) -> None:
    done = program.run(
        """
        import threading
        t = threading.Thread(target=lambda: 1/0, name="worker-7")
        t.start(); t.join()
        """
    )
    assert "ZeroDivisionError" in done.stderr
    (log,) = collector.logs
    assert (
        "worker-7" in log.body
        and log.attributes["exception.type"] == "ZeroDivisionError"
        and log.severity == 21
    )


# ---- Other libraries ----


def test_loguru(sent: Sent) -> None:
    import io

    from loguru import logger

    logger.remove()
    out = io.StringIO()
    logger.add(out, format="{file}:{line} {function} {message}", level="INFO")
    with varan.span("holder"):
        logger.debug("below the level")
        logger.bind(order=7).info("placed {}", "well")
        try:
            raise ValueError("x")
        except ValueError:
            logger.exception("failed")
    first, second = sent.logs()
    assert (first.body, first.severity, first.attributes["order"]) == ("placed well", 9, 7)
    assert first.attributes["code.function.name"] == "test_loguru"
    assert first.trace_id == sent.span("holder").trace_id
    assert second.attributes["exception.type"] == "ValueError"
    assert "test_logging.py:" in out.getvalue()
    assert "test_loguru placed well" in out.getvalue()


@pytest.mark.parametrize("direction", ["to loguru", "to logging"])
def test_loguru_beside_logging(sent: Sent, direction: str) -> None:
    from loguru import logger

    class Intercept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            logger.opt(exception=record.exc_info).log(record.levelname, record.getMessage())

    seen: list[str] = []
    logger.remove()
    standard = logging.getLogger("intercepted")
    if direction == "to loguru":
        handler = Intercept()
        standard.addHandler(handler)
        logger.add(lambda message: seen.append(str(message)))
        standard.warning("once")
        standard.removeHandler(handler)
    else:
        logger.add(lambda message: standard.warning(str(message).strip()), format="{message}")
        logger.warning("once")
    assert [log.body for log in sent.logs()] == ["once"]


def test_handler_that_logs_beside_loguru(sent: Sent, logger: logging.Logger) -> None:
    from loguru import logger as other

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.name != "inner":
                logging.getLogger("inner").warning("from the handler")

    other.remove()
    logger.addHandler(Handler())
    logger.warning("outer")
    assert sorted(x.body for x in sent.logs()) == ["from the handler", "outer"]


def test_structlog(sent: Sent) -> None:
    import io

    import structlog

    out = io.StringIO()

    def drop(logger: Any, name: str, event: Any) -> Any:
        if event.get("drop"):
            raise structlog.DropEvent
        return event

    structlog.configure(
        processors=[drop, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(out),
    )
    logger = structlog.get_logger(user="jane")
    with varan.span("holder"):
        logger.info("placed", order=7)
        logger.info("dropped", drop=True)
        try:
            raise ValueError("x")
        except ValueError:
            logger.exception("failed")
    first, second = sent.logs()
    assert (first.body, first.severity) == ("placed", 9)
    assert (first.attributes["order"], first.attributes["user"]) == (7, "jane")
    assert first.attributes["code.function.name"] == "test_structlog"
    assert first.trace_id == sent.span("holder").trace_id
    assert second.attributes["exception.type"] == "ValueError"
    assert '"event": "placed"' in out.getvalue()

    structlog.configure(
        processors=[structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    structlog.get_logger("shop").warning("by logging", order=8)
    structlog.reset_defaults()
    (log,) = [entry for entry in sent.logs() if entry.body == "by logging"]
    assert log.attributes["order"] == 8


def test_level_and_rate(program: Program, collector: Collector) -> None:
    program.run(
        """
        import logging
        logging.basicConfig(level=logging.DEBUG)
        logging.info("too low")
        for i in range(1000):
            logging.warning("storm %d", i)
        import varan
        assert varan.stats()["logs_rate_limited"] > 900, varan.stats()
        """,
        VARAN_LOG_LEVEL="warning",
        VARAN_LOG_RATE="20",
    )
    bodies = [log.body for log in collector.logs]
    assert "too low" not in bodies
    assert 20 <= sum(b.startswith("storm") for b in bodies) < 100


def test_console_as_json(program: Program, collector: Collector) -> None:
    done = program.run(
        """
        import logging, varan
        logging.basicConfig(format="%(message)s")
        with varan.span("holder"):
            logging.getLogger("shop").warning("placed %d", 7, extra={"user": "jané"})
            try:
                raise ValueError("x")
            except ValueError:
                logging.exception("failed")
        logging.error("outside")
        """,
        VARAN_LOG_CONSOLE="json",
    )
    first, second, third = (json.loads(line) for line in done.stderr.splitlines())
    assert (first["message"], first["level"], first["logger"]) == ("placed 7", "WARNING", "shop")
    assert first["user"] == "jané"
    assert first["trace_id"] == collector.spans[0].trace_id
    assert first["span_id"] == collector.spans[0].span_id
    assert first["time"].endswith("Z")
    assert first["place"].endswith("program.py:5")
    assert second["exception"].endswith("ValueError: x")
    assert "trace_id" not in third


def test_records_begun_within_another(sent: Sent, logger: logging.Logger) -> None:
    """Nobody has formatted the record when the agent does: a text that logs is sent, and one that logs itself ends."""

    class Logs:
        def __str__(self) -> str:
            logger.warning("from within")
            return "outer"

    class Forever:
        depth = 0

        def __str__(self) -> str:
            Forever.depth += 1
            if Forever.depth < 50:
                logger.warning(self)
            return "forever"

    logger.propagate = False
    logger.addHandler(logging.NullHandler())
    logger.warning(Logs())
    logger.warning(Forever())
    bodies = [x.body for x in sent.logs()]
    assert sorted(bodies) == ["forever", "forever", "forever", "from within", "outer"]
    assert Forever.depth == 3


def test_stack_of_a_record(sent: Sent, logger: logging.Logger) -> None:
    logger.warning("here", stack_info=True)
    (log,) = sent.logs()
    assert "test_stack_of_a_record" in log.attributes["code.stacktrace"]


def test_configuration_is_the_applications(program: Program, collector: Collector) -> None:
    """What dictConfig, fileConfig and basicConfig make of loggers that are there already; the agent's own view of them
    stays, and no handler of the agent's is ever among theirs."""
    program.write(
        "logging.ini",
        """
        [loggers]
        keys=root
        [handlers]
        keys=h
        [formatters]
        keys=
        [logger_root]
        level=INFO
        handlers=h
        [handler_h]
        class=StreamHandler
        args=(sys.stdout,)
        """,
    )
    done = program.run(
        """
        import logging, logging.config, sys
        early, kept = logging.getLogger("early"), logging.getLogger("kept")
        logging.basicConfig(stream=sys.stdout, format="1 %(message)s")
        early.warning("basic")
        logging.basicConfig(stream=sys.stdout, format="2 %(message)s", force=True)
        early.warning("forced")
        logging.config.dictConfig({
            "version": 1, "disable_existing_loggers": True,
            "formatters": {"f": {"format": "3 %(message)s"}},
            "handlers": {"h": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "f"}},
            "loggers": {"kept": {"handlers": ["h"], "propagate": False}}, "root": {"handlers": ["h"], "level": "INFO"},
        })
        early.warning("of a disabled logger")
        kept.warning("dict")
        logging.getLogger("late").info("late")
        logging.getLogger("late").debug("below the level")
        assert len(logging.getLogger().handlers) == 1 and len(kept.handlers) == 1
        logging.config.fileConfig("logging.ini", disable_existing_loggers=False)
        logging.getLogger("file").warning("file")
        logging.disable(logging.CRITICAL)
        logging.getLogger("file").critical("disabled")
        logging.disable(logging.NOTSET)
        logging.shutdown()
        logging.getLogger("file").warning("after the end")
        """
    )
    assert done.stdout.splitlines() == [
        "1 basic",
        "2 forced",
        "3 dict",
        "3 late",
        "file",
        "after the end",
    ]
    bodies = [log.body for log in collector.logs]
    assert bodies == ["basic", "forced", "dict", "late", "file", "after the end"]


def test_queue_handler_sends_once(program: Program, collector: Collector) -> None:
    program.run(
        """
        import logging, logging.handlers, queue
        q = queue.Queue()
        listener = logging.handlers.QueueListener(q, logging.NullHandler())
        logging.getLogger().addHandler(logging.handlers.QueueHandler(q))
        listener.start()
        for i in range(10):
            logging.getLogger("q").warning("n %d", i)
        listener.stop()
        """
    )
    assert [log.body for log in collector.logs] == [f"n {i}" for i in range(10)]


def test_signals_destructors_and_forks(program: Program, collector: Collector) -> None:
    """Logging from a signal's handler, from __del__ in a garbage collection, and in children forked while other threads
    log: nothing hangs, and what was logged arrives."""
    program.run(
        """
        import gc, logging, os, signal, threading, time
        logging.getLogger().addHandler(logging.NullHandler())  # streams do not bear it
        log = logging.getLogger("torture")
        signals, parent = [], os.getpid()

        def on_alarm(number, frame):
            signals.append(number)  # one step: another signal may come within
            log.warning("signal")

        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        gc.set_threshold(50)

        class Ring:
            count = 0
            def __init__(self):
                self.me = self
            def __del__(self):
                Ring.count += 1
                log.warning("destructor" if os.getpid() == parent else "a child's destructor")

        stop = threading.Event()
        def busy():
            while not stop.is_set():
                log.info("dropped by its level")
                log.warning("busy %s", {"a": [1, 2]})
                time.sleep(0.001)
        threads = [threading.Thread(target=busy, daemon=True) for _ in range(3)]
        for t in threads:
            t.start()
        for i in range(20):
            for _ in range(20):
                Ring()
            child = os.fork()
            if child == 0:
                signal.setitimer(signal.ITIMER_REAL, 0)
                log.warning("child %d", i)
                os._exit(0)
            end = time.monotonic() + 90
            while True:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    assert status == 0, status
                    break
                assert time.monotonic() < end, "a forked child hangs"
                time.sleep(0.001)
        stop.set()
        for t in threads:
            t.join()
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.collect()
        log.error("counts %d %d", len(signals), Ring.count)
        import varan
        assert varan.flush(60)
        """,
        timeout=150,
        VARAN_BUFFER_BYTES="67108864",
    )
    bodies = [log.body for log in collector.logs]
    assert sorted(b for b in bodies if b.startswith("child")) == sorted(
        f"child {i}" for i in range(20)
    )
    signals, rings = map(int, next(b for b in bodies if b.startswith("counts")).split()[1:])
    # The handler runs between two steps of Python: never while a record is written.
    assert bodies.count("destructor") == rings == 400
    assert bodies.count("signal") == signals > 0
