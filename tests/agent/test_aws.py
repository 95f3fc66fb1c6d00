"""SQS and SNS by boto3, against a local server that keeps the messages as theirs do."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any, ClassVar

import boto3
import botocore.config
import pytest

import varan
from conftest import Sent

TOPIC = "arn:aws:sns:eu-north-1:123456789012:paid"


class Handler(http.server.BaseHTTPRequestHandler):
    """A queue; what is published is in it as notifications."""

    messages: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[str]] = []

    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, body: str, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def keep(self, body: str, attributes: Any) -> str:
        names = f"message-{len(self.messages)}"
        message = {"MessageId": names, "ReceiptHandle": names, "Body": body}
        self.messages.append({**message, "MessageAttributes": attributes or {}})
        return names

    def publish(self, form: dict[str, str]) -> str:
        attributes = {}
        for at in range(1, 11):
            entry = f"MessageAttributes.entry.{at}."
            if entry + "Name" in form:
                kind, value = form[entry + "Value.DataType"], form[entry + "Value.StringValue"]
                attributes[form[entry + "Name"]] = {"Type": kind, "Value": value}
        told = {"Type": "Notification", "Message": form["Message"], "MessageAttributes": attributes}
        return self.keep(json.dumps(told), None)

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        operation = self.headers.get("X-Amz-Target", "").partition(".")[2]
        if not operation:
            name = self.publish(dict(urllib.parse.parse_qsl(sent)))
            found = f"<PublishResult><MessageId>{name}</MessageId></PublishResult>"
            return self.answer(f"<PublishResponse>{found}</PublishResponse>", "text/xml")
        given = json.loads(sent)
        if operation == "SendMessage":
            name = self.keep(given["MessageBody"], given.get("MessageAttributes"))
            told: dict[str, Any] = {"MessageId": name}
        elif operation == "SendMessageBatch":
            for entry in given["Entries"]:
                self.keep(entry["MessageBody"], entry.get("MessageAttributes"))
            told = {"Successful": [], "Failed": []}
        else:
            self.asked[:] = given.get("MessageAttributeNames") or []
            told = {"Messages": [self.chosen(message) for message in self.messages]}
            self.messages.clear()
        self.answer(json.dumps(told), "application/x-amz-json-1.0")

    def chosen(self, message: dict[str, Any]) -> dict[str, Any]:
        given = message["MessageAttributes"]
        return {
            **message,
            "MessageAttributes": {k: v for k, v in given.items() if k in self.asked},
        }


@pytest.fixture
def aws() -> Iterator[Any]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"

    def client(service: str) -> Any:
        return boto3.client(
            service, region_name="eu-north-1", endpoint_url=address, aws_access_key_id="x",
            aws_secret_access_key="SECRET", config=botocore.config.Config(retries={"max_attempts": 0}),
        )  # fmt: skip

    client.queue = f"{address}/123456789012/orders"  # type: ignore[attr-defined]
    yield client
    server.shutdown()
    server.server_close()
    Handler.messages.clear()


def test_queue(sent: Sent, aws: Any) -> None:
    sqs = aws("sqs")
    text: dict[str, Any] = {"DataType": "String", "StringValue": "own"}
    full = {f"a{i}": text for i in range(10)}
    mine = {"kind": text}
    with varan.span("outer") as outer:
        sqs.send_message(QueueUrl=aws.queue, MessageBody="SECRET", MessageAttributes=mine)
        sqs.send_message_batch(
            QueueUrl=aws.queue,
            Entries=[
                {"Id": "1", "MessageBody": "SECRET"},
                {"Id": "2", "MessageBody": "SECRET", "MessageAttributes": full},
            ],
        )
    assert mine == {"kind": text} and len(full) == 10, "the application's own stay as they are"
    messages = sqs.receive_message(
        QueueUrl=aws.queue, MaxNumberOfMessages=10, MessageAttributeNames=["kind"]
    )["Messages"]
    assert messages[0]["MessageAttributes"]["kind"]["StringValue"] == "own"
    one, batch, received = [s for s in sent.spans() if s.scope == "varan.botocore"]
    assert one.name == batch.name == "send orders" and one.kind == batch.kind == 4
    assert one.parent_id == batch.parent_id == outer.span_id
    assert one.attributes["messaging.system"] == "aws_sqs"
    assert one.attributes["messaging.message.id"] == "message-0"
    assert one.attributes["rpc.method"] == "SendMessage"
    assert batch.attributes["messaging.batch.message_count"] == 2
    assert received.name == "receive orders" and received.kind == 5
    assert received.attributes["messaging.batch.message_count"] == 3
    links = [(link.trace_id.hex(), link.span_id.hex()) for link in received.raw.links]
    assert links == [(s.trace_id, s.span_id) for s in (one, batch)], "the full message has no room"
    assert "SECRET" not in str([s.attributes for s in sent.spans()])


def test_through_a_topic(sent: Sent, aws: Any) -> None:
    with varan.span("outer"):
        aws("sns").publish(TopicArn=TOPIC, Message="SECRET")
    Handler.messages.append({"MessageId": "odd", "ReceiptHandle": "x", "Body": '{"traceparent"', "MessageAttributes": {}})  # fmt: skip
    sqs = aws("sqs")
    assert len(sqs.receive_message(QueueUrl=aws.queue)["Messages"]) == 2
    sqs.receive_message(QueueUrl=aws.queue)
    published, received, nothing = [s for s in sent.spans() if s.scope == "varan.botocore"]
    assert published.name == "send paid" and published.kind == 4
    assert published.attributes["messaging.system"] == "aws.sns"
    assert [link.span_id.hex() for link in received.raw.links] == [published.span_id]
    assert nothing.attributes["messaging.batch.message_count"] == 0
