"""Messages of SQS and SNS: the trace goes along in their attributes, and what is received is linked to its senders."""

from __future__ import annotations

import json
from typing import Any

from . import _messages
from ._request import sender

ATTRIBUTES_MAX = 10  # of one message: SQS refuses more
BODY_MAX = 256 << 10  # of a notification that is looked into
SYSTEMS = {"SQS": "aws_sqs", "SNS": "aws.sns"}

# What carries a trace in the usual formats; asked for when messages are received.
HEADERS = ("traceparent", "tracestate", "baggage", "b3", "uber-trace-id")

# Operation → the list of messages in it, or None when it is one.
SENDING = {
    ("SQS", "SendMessage"): None,
    ("SQS", "SendMessageBatch"): "Entries",
    ("SNS", "Publish"): None,
    ("SNS", "PublishBatch"): "PublishBatchRequestEntries",
}
RECEIVING = ("SQS", "ReceiveMessage")


def destination(parameters: Any) -> str:
    """The queue or topic by its name: https://sqs.eu-north-1.amazonaws.com/123/orders, arn:aws:sns:eu-north-1:123:paid"""
    for name in ("QueueUrl", "TopicArn", "TargetArn"):
        value = parameters.get(name)
        if isinstance(value, str):
            return value.rsplit("/" if name == "QueueUrl" else ":", 1)[-1]
    return "sms" if "PhoneNumber" in parameters else ""


def _with_headers(message: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    given = message.get("MessageAttributes") or {}
    ours = {k: {"DataType": "String", "StringValue": v} for k, v in headers.items() if v}
    ours = {k: v for k, v in ours.items() if k not in given}
    if len(given) + len(ours) > ATTRIBUTES_MAX:
        return message
    return {**message, "MessageAttributes": {**given, **ours}}


def prepare(service: str, operation: str, parameters: Any, span: Any) -> Any:
    """The parameters to call with: copies where something is added. May raise."""
    key = (service, operation)
    if key not in SENDING and key != RECEIVING:
        return parameters
    name = destination(parameters)
    word = "receive" if key == RECEIVING else "send"
    span.update_name(f"{word} {name}")
    span.set("messaging.system", SYSTEMS[service])
    span.set("messaging.operation.name", word)
    span.set("messaging.operation.type", word)
    span.set("messaging.destination.name", name)
    if key == RECEIVING:
        names = list(parameters.get("MessageAttributeNames") or ())
        if not {"All", ".*"} & set(names):
            names += [header for header in HEADERS if header not in names]
        return {**parameters, "MessageAttributeNames": names}
    headers = _messages.identifiers(span)
    several = SENDING[key]
    if several is None:
        return _with_headers(parameters, headers)
    entries = parameters.get(several)
    span.set("messaging.batch.message_count", len(entries))
    return {**parameters, several: [_with_headers(entry, headers) for entry in entries]}


def _headers(message: dict[str, Any]) -> dict[str, str]:
    """Of the message, or of the notification of SNS that is its body."""
    attributes, field = message.get("MessageAttributes"), "StringValue"
    if not attributes:
        body = message.get("Body")
        if not isinstance(body, str) or '"traceparent"' not in body or len(body) > BODY_MAX:
            return {}
        told = json.loads(body)
        attributes, field = told.get("MessageAttributes") or {}, "Value"
    return {name: value[field] for name, value in attributes.items() if name in HEADERS}


def note(service: str, operation: str, response: Any, span: Any) -> None:
    """What came back. May raise."""
    if (service, operation) == RECEIVING:
        messages = response.get("Messages") or ()
        span.set("messaging.batch.message_count", len(messages))
        for message in messages[: _messages.LINKS_MAX]:
            try:
                parent = sender(_headers(message))
            except (ValueError, TypeError, AttributeError, KeyError):
                continue
            if parent is not None:
                span.add_link(parent)
    elif (service, operation) in SENDING and isinstance(response.get("MessageId"), str):
        span.set("messaging.message.id", response["MessageId"])
