"""Celery, RQ, Kafka's clients and pika: the sender's and the receiver's span in one trace."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from collector import Collector
from servers import free_port

import varan
from conftest import Program, Sent

TASKS = """
import celery, os, sys
app = celery.Celery("tasks", broker=os.environ["BROKER"], backend=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
app.conf.worker_hijack_root_logger = False
import varan

class Expected(Exception):
    pass

@app.task
def add(a, b):
    with varan.span("inside"):
        return a + b

@app.task(bind=True, max_retries=2)
def stubborn(self):
    if self.request.retries < 2:
        raise self.retry(countdown=0, exc=ValueError("again"))
    return "at last"

@app.task
def fails():
    raise LookupError("no")

@app.task(throws=(Expected,))
def refuses():
    raise Expected("as planned")

@app.task
def calls():
    add.delay(1, 2)

@app.task
def too_late():
    raise SystemExit("is not to be run")
"""


def celery_env(program: Program, redis_port: int) -> dict[str, str]:
    """Redis for a broker: that of files loses a message which a worker opens while it is being written."""
    return {
        "BROKER": f"redis://127.0.0.1:{redis_port}/0",
        "PYTHONPATH": program.env["PYTHONPATH"] + os.pathsep + str(program.folder),
    }


def end(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(90)
    finally:
        process.kill()
        process.wait()


@pytest.mark.timeout(400)  # longer than the deadlines within
@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent", "solo"])
def test_celery(program: Program, collector: Collector, redis_port: int, pool: str) -> None:
    """A worker in each pool: publish → wait → run, retries, failures, tasks that send tasks; nothing lost or doubled."""
    program.write("tasks.py", TASKS)
    env = celery_env(program, redis_port)
    program.run(
        """
        import varan
        from tasks import *
        with varan.span("outer"):
            for i in range(20):
                add.delay(i, 1)
            for task in (stubborn, fails, refuses, calls):
                task.delay()
            too_late.apply_async(expires=0.001)
        """,
        **env,
    )
    worker = program.start(
        sys.executable, "-m", "celery", "-A", "tasks", "worker", "-P", pool, "-c", "2", "--without-gossip",
        "--without-mingle", "--without-heartbeat", **env,
    )  # fmt: skip
    # 28 runs: 20 add, 3 stubborn, fails, refuses, calls, the add that it sends, and too_late, which is none
    try:
        collector.wait(lambda: len([s for s in collector.spans if s.kind == 5]) >= 28, 120)
    finally:
        end(worker)
    assert worker.returncode == 0, program.output()
    sent = {s.span_id: s for s in collector.spans if s.kind == 4}
    runs = [s for s in collector.spans if s.kind == 5]
    assert len(sent) == len(runs) == 28
    (outer,) = collector.named("outer")
    ours = [*sent.values(), *runs, *collector.named("inside")]  # Redis has spans, too
    assert {s.trace_id for s in ours} == {outer.trace_id}
    assert sorted(s.parent_id for s in runs) == sorted(sent), "a run for each message"
    for run in runs:
        assert run.attributes["messaging.message.receive.latency"] >= 0
        assert (
            run.attributes["messaging.message.id"]
            == sent[run.parent_id].attributes["messaging.message.id"]
        )
        assert run.attributes["messaging.destination.name"] == "celery"
    (failed,) = collector.named("process tasks.fails")
    assert failed.status == 2 and failed.attributes["error.type"] == "LookupError"
    assert failed.attributes["celery.state"] == "FAILURE"
    (refused,) = collector.named("process tasks.refuses")
    assert refused.status == 0 and refused.events[0][1]["exception.message"] == "as planned"
    (expired,) = collector.named("process tasks.too_late")
    assert expired.status == 0 and expired.attributes["celery.state"] == "REVOKED"
    assert expired.attributes["celery.revoked"] == "expired"
    tries = sorted(
        collector.named("process tasks.stubborn"),
        key=lambda s: s.attributes.get("celery.retries", 0),
    )
    assert [s.attributes.get("celery.retries") for s in tries] == [None, 1, 2]
    assert [s.attributes["celery.state"] for s in tries] == ["RETRY", "RETRY", "SUCCESS"]
    assert all(s.status == 0 for s in tries)
    assert sent[tries[1].parent_id].parent_id == tries[0].span_id
    tasks = {"messaging.system": "celery", "messaging.destination.name": "celery"}
    retried = [p for p in collector.metric("varan.celery.retries") if p.attributes == {**tasks, "celery.task_name": "tasks.stubborn"}]  # fmt: skip
    assert max(p.value for p in retried) >= 1
    ran = {(p.attributes["celery.task_name"], p.attributes["celery.state"]) for p in collector.metric("messaging.process.duration")}  # fmt: skip
    assert {
        ("tasks.add", "SUCCESS"),
        ("tasks.stubborn", "RETRY"),
        ("tasks.fails", "FAILURE"),
    } <= ran
    waits = collector.metric("varan.celery.queue_wait")
    assert {"tasks.add", "tasks.calls"} <= {p.attributes["celery.task_name"] for p in waits}
    roots = {s.name for s in collector.spans if not s.parent_id}
    assert roots == {"outer"}, "a worker that waits makes no traces"
    inside = collector.named("inside")
    adds = {s.span_id for s in collector.named("process tasks.add")}
    assert len(inside) == 21 and {s.parent_id for s in inside} == adds


def test_celery_eager_and_errors(sent: Sent) -> None:
    import celery

    app = celery.Celery("eager", broker="memory://")

    @app.task(name="eager.double")
    def double(n: int) -> int:
        with varan.span("inside"):
            return 2 * n

    with varan.span("outer") as outer:
        assert double.apply((4,)).get() == 8
    run = sent.span("process eager.double")
    assert run.parent_id == outer.span_id and run.attributes["celery.is_eager"] is True
    assert sent.span("inside").parent_id == run.span_id
    sent.collector.spans.clear()
    broken = celery.Celery("broken", broker="redis://127.0.0.1:1")
    broken.conf.broker_connection_timeout = 0.1
    with pytest.raises(Exception):  # noqa: B017
        broken.send_task("x", retry=False)
    failed = sent.span("send x")
    assert failed.status == 2 and failed.kind == 4


def test_celery_beat(program: Program, collector: Collector, redis_port: int) -> None:
    """What beat sends begins a trace."""
    program.write(
        "tasks.py",
        TASKS
        + "app.conf.beat_schedule = {'often': {'task': 'tasks.add', 'schedule': 0.2, 'args': (1, 2)}}\n",
    )
    beat = program.start(
        sys.executable, "-m", "celery", "-A", "tasks", "beat", "-s", str(program.folder / "schedule"),
        "--pidfile=", **celery_env(program, redis_port),
    )  # fmt: skip
    try:
        collector.wait(lambda: len(collector.named("send tasks.add")) >= 2, 120)
    finally:
        end(beat)
    assert {s.parent_id for s in collector.named("send tasks.add")} == {""}


@pytest.fixture
def redis_port(tmp_path: Path) -> Iterator[int]:
    port = free_port()
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_for(port, server)
        yield port
    finally:
        server.terminate()
        server.wait(60)


def wait_for(port: int, server: subprocess.Popen[Any], seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            assert time.monotonic() < deadline and server.poll() is None
            time.sleep(0.02)


def test_rq(program: Program, collector: Collector, redis_port: int) -> None:
    program.write(
        "jobs.py",
        "import varan\ndef good(a):\n  with varan.span('inside'):\n    return a\ndef bad():\n  raise LookupError('no')\n",
    )
    env = {
        "PYTHONPATH": program.env["PYTHONPATH"] + os.pathsep + str(program.folder),
    }
    program.run(
        """
        import sys, redis, rq, varan, jobs
        queue = rq.Queue("fast", connection=redis.Redis(port=int(sys.argv[1])))
        with varan.span("outer"):
            for i in range(5):
                queue.enqueue(jobs.good, i)
            queue.enqueue(jobs.bad)
        rq.SimpleWorker([queue], connection=queue.connection) # imported as workers do
        """,
        str(redis_port), **env,
    )  # fmt: skip
    url = f"redis://127.0.0.1:{redis_port}"
    program.run(
        "import sys\nfrom rq.cli import main\nsys.argv = ['rq', 'worker', '--burst', '-u', sys.argv[1], 'fast']\nmain()",
        url, **env,
    )  # fmt: skip
    sent = {
        s.span_id: s for s in collector.wait(lambda: [s for s in collector.spans if s.kind == 4])
    }
    runs = collector.wait(lambda: len(f := [s for s in collector.spans if s.kind == 5]) >= 6 and f)
    assert sorted(s.parent_id for s in runs) == sorted(sent) and len(sent) == 6
    (bad,) = collector.named("process jobs.bad")
    assert bad.status == 2 and bad.attributes["error.type"] == "LookupError"
    assert bad.attributes["messaging.destination.name"] == "fast"
    assert all(s.attributes["messaging.message.receive.latency"] >= 0 for s in runs)
    assert len(collector.named("inside")) == 5
    roots = {s.name for s in collector.spans if not s.parent_id}
    # The worker's command asks once before there is a worker.
    assert roots - {"PIPELINE"} == {"outer"}, "a worker that waits makes no traces"


@pytest.fixture(scope="module")
def kafka() -> Iterator[str]:
    """The mock cluster of librdkafka: real sockets, the real protocol."""
    import confluent_kafka

    base = confluent_kafka.Producer
    cluster = base({"test.mock.num.brokers": 1})
    (broker,) = cluster.list_topics(timeout=60).brokers.values()
    yield f"{broker.host}:{broker.port}"
    del cluster


def check_kafka(sent: Sent, topic: str, n: int, outer: Any) -> None:
    deadline = time.monotonic() + 90
    while len([s for s in sent.spans() if s.name == f"send {topic}"]) < n:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    produced = [s for s in sent.spans() if s.name == f"send {topic}"]
    processed = [s for s in sent.spans() if s.name == f"process {topic}"]
    assert len(produced) == len(processed) == n
    assert {s.parent_id for s in produced} == {outer.span_id}
    assert sorted(s.parent_id for s in processed) == sorted(s.span_id for s in produced)
    assert all(s.attributes["messaging.system"] == "kafka" for s in produced + processed)
    assert all(s.attributes["messaging.kafka.offset"] >= 0 for s in processed)
    inside = [s for s in sent.spans() if s.name == "inside"]
    assert {s.parent_id for s in inside} == {s.span_id for s in processed} and len(inside) == n


def test_confluent_kafka(sent: Sent, kafka: str) -> None:
    import confluent_kafka

    producer = confluent_kafka.Producer({"bootstrap.servers": kafka})
    with varan.span("outer") as outer:
        for i in range(3):
            producer.produce("confluent", f"{i}", headers={"own": b"1"})
        assert producer.flush(60) == 0
    consumer = confluent_kafka.Consumer(
        {"bootstrap.servers": kafka, "group.id": "g1", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["confluent"])
    seen = 0
    deadline = time.monotonic() + 90
    while seen < 3:
        assert time.monotonic() < deadline
        message = consumer.poll(0.5)
        if message is not None and not message.error():
            assert ("own", b"1") in message.headers()
            with varan.span("inside"):
                seen += 1
    consumer.close()
    check_kafka(sent, "confluent", 3, outer)


def from_the_beginning(consumer: Any, topic: str) -> None:
    """Without asking for offsets: the mock cluster does not always answer that."""
    from kafka import TopicPartition

    deadline = time.monotonic() + 90
    while not (partitions := consumer.partitions_for_topic(topic)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    places = [TopicPartition(topic, n) for n in sorted(partitions)]
    consumer.assign(places)
    for place in places:
        consumer.seek(place, 0)


def test_kafka_python(sent: Sent, kafka: str) -> None:
    from kafka import KafkaConsumer, KafkaProducer

    producer = KafkaProducer(bootstrap_servers=kafka, api_version=(2, 3))
    with varan.span("outer") as outer:
        for i in range(3):
            producer.send("plain", str(i).encode(), headers=[("own", b"1")])
        producer.flush(60)
    consumer = KafkaConsumer(bootstrap_servers=kafka, group_id=None, api_version=(2, 3), consumer_timeout_ms=90000)  # fmt: skip
    from_the_beginning(consumer, "plain")
    for i, record in enumerate(consumer):
        assert record.headers[0] == ("own", b"1")
        with varan.span("inside"):
            if i == 2:
                break
    consumer.close()
    check_kafka(sent, "plain", 3, outer)
    batches = KafkaConsumer(bootstrap_servers=kafka, group_id=None, api_version=(2, 3))
    from_the_beginning(batches, "plain")
    got = 0
    deadline = time.monotonic() + 90
    while got < 3:
        assert time.monotonic() < deadline
        got += sum(len(v) for v in batches.poll(500).values())
    batches.close()
    producer.close()
    received = [s for s in sent.spans() if s.name == "receive plain"]
    assert sum(s.attributes["messaging.batch.message_count"] for s in received) == 3
    assert sum(len(s.raw.links) for s in received) == 3


def test_aiokafka(sent: Sent, kafka: str) -> None:
    import asyncio

    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

    async def main() -> Any:
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            with varan.span("outer") as outer:
                for i in range(3):
                    await producer.send_and_wait("async", str(i).encode(), headers=[("own", b"1")])
        async with AIOKafkaConsumer("async", bootstrap_servers=kafka, auto_offset_reset="earliest", group_id=None) as consumer:  # fmt: skip
            i = 0
            async for record in consumer:
                assert record.headers[0] == ("own", b"1")
                with varan.span("inside"):
                    i += 1
                    if i == 3:
                        break
        assert varan.current_span() is None
        return outer

    outer = asyncio.run(asyncio.wait_for(main(), 120))
    check_kafka(sent, "async", 3, outer)


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    server = next(
        (p for p in ("/usr/lib/rabbitmq/bin/rabbitmq-server", shutil.which("rabbitmq-server")) if p and os.path.exists(p)),
        None,
    )  # fmt: skip
    assert server, "rabbitmq-server is not installed: tools/setup --test"
    folder = tmp_path_factory.mktemp("rabbit")
    port, dist = free_port(), free_port()
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = false\n"
    )
    (folder / "plugins").write_text("[].\n")
    env = {
        **os.environ, "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"), "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"), "RABBITMQ_DIST_PORT": str(dist), "HOME": str(folder),
        "RABBITMQ_NODENAME": f"varan{port}@localhost", "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"), "ERL_EPMD_PORT": str(free_port()),
    }  # fmt: skip
    process = subprocess.Popen([server], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    try:
        wait_for(port, process)
        yield port
    finally:
        os.killpg(process.pid, 15)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
        # The node's directory of names is a daemon of its own.
        subprocess.run(["epmd", "-kill"], env=env, capture_output=True, timeout=60, check=False)


def connect(port: int) -> Any:
    import pika

    deadline = time.monotonic() + 90
    while True:  # the port is open before the node takes logins
        try:
            return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
        except pika.exceptions.AMQPConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.2)


def test_pika(sent: Sent, rabbit: int) -> None:
    import pika

    connection = connect(rabbit)
    channel = connection.channel()
    channel.queue_declare("orders")
    properties = pika.BasicProperties(headers={"own": 1})
    with varan.span("outer") as outer:
        for i in range(3):
            channel.basic_publish("", "orders", str(i).encode(), properties)
        channel.basic_publish("", "orders", b"bad")
    assert properties.headers == {"own": 1}, "the application's object stays as it is"
    seen: list[Any] = []

    def work(channel: Any, method: Any, properties: Any, body: bytes) -> None:
        seen.append(properties.headers)
        channel.basic_ack(method.delivery_tag)
        with varan.span("inside"):
            if body == b"bad":
                channel.stop_consuming()
                raise LookupError("no")

    channel.basic_consume("orders", work)
    with pytest.raises(LookupError):
        channel.start_consuming()
    connection.close()
    produced = [s for s in sent.spans() if s.kind == 4]
    processed = [s for s in sent.spans() if s.kind == 5]
    assert [s.name for s in produced] == ["send orders"] * 4
    assert {s.parent_id for s in produced} == {outer.span_id}
    assert [s.parent_id for s in processed] == [s.span_id for s in produced]
    assert [s.status for s in processed] == [0, 0, 0, 2]
    assert processed[3].attributes["error.type"] == "LookupError"
    assert seen[0]["own"] == 1 and len(sent.collector.named("inside")) == 4


def test_pika_asynchronous(sent: Sent, rabbit: int) -> None:
    import asyncio

    import pika
    from pika.adapters.asyncio_connection import AsyncioConnection

    connect(rabbit).close()

    async def main() -> None:
        done = asyncio.Event()

        def on_message(channel: Any, method: Any, properties: Any, body: bytes) -> None:
            with varan.span("inside"):
                done.set()

        def on_channel(channel: Any) -> None:
            def declared(frame: Any) -> None:
                channel.basic_consume("async", on_message, auto_ack=True)
                channel.basic_publish("", "async", b"x")

            channel.queue_declare("async", callback=declared)

        connection = AsyncioConnection(
            pika.ConnectionParameters("127.0.0.1", rabbit),
            on_open_callback=lambda c: c.channel(on_open_callback=on_channel),
        )
        await asyncio.wait_for(done.wait(), 90)
        connection.close()
        while not connection.is_closed:
            await asyncio.sleep(0.01)

    asyncio.run(main())
    processed = sent.span("process async")
    assert processed.parent_id == sent.span("send async").span_id
    assert sent.span("inside").parent_id == processed.span_id
