"""openai, anthropic and boto3 against local servers that answer as theirs do."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import anthropic
import boto3
import botocore.config
import botocore.exceptions
import openai
import pytest

import varan
from conftest import Sent

CHAT = {
    "id": "chat1", "object": "chat.completion", "created": 1, "model": "gpt-x-1", "usage":
    {"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21},
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "SECRET"}}],
}  # fmt: skip
CHUNKS = [
    {"id": "chat2", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x-1", "choices": c, "usage": u}
    for c, u in (
        ([{"index": 0, "delta": {"content": "SEC"}, "finish_reason": None}], None),
        ([{"index": 0, "delta": {}, "finish_reason": "length"}], None),
        ([], {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}),
    )
]  # fmt: skip
EMBEDDING = {
    "object": "list", "model": "emb-1", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "usage": {"prompt_tokens": 5, "total_tokens": 5},
}  # fmt: skip
MESSAGE = {
    "id": "msg1", "type": "message", "role": "assistant", "model": "claude-x-1", "stop_reason": "end_turn",
    "stop_sequence": None, "content": [{"type": "text", "text": "SECRET"}],
    "usage": {"input_tokens": 10, "output_tokens": 20},
}  # fmt: skip
EVENTS = [
    {"type": "message_start", "message": {**MESSAGE, "content": [], "stop_reason": None,
                                          "usage": {"input_tokens": 10, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "SECRET"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 7}},
    {"type": "message_stop"},
]  # fmt: skip


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", "request-1")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        given = json.loads(sent) if sent[:1] == b"{" else {}
        if "X-Amz-Target" in self.headers:
            if given.get("TableName") == "missing":
                error = {"__type": "ResourceNotFoundException", "message": "no"}
                return self.answer(400, json.dumps(error).encode(), "application/x-amz-json-1.0")
            return self.answer(200, b'{"Item":{"a":{"S":"SECRET"}}}', "application/x-amz-json-1.0")
        if given.get("model") == "broken":
            return self.answer(400, b'{"error":{"message":"no","type":"invalid_request_error"}}')
        if self.path.endswith("/embeddings"):
            return self.answer(200, json.dumps(EMBEDDING).encode())
        if self.path.endswith("/messages"):
            if given.get("stream"):
                text = "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in EVENTS)
                return self.answer(200, text.encode(), "text/event-stream")
            return self.answer(200, json.dumps(MESSAGE).encode())
        if given.get("stream"):
            text = "".join(f"data: {json.dumps(c)}\n\n" for c in CHUNKS) + "data: [DONE]\n\n"
            return self.answer(200, text.encode(), "text/event-stream")
        self.answer(200, json.dumps(CHAT).encode())


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def model_span(sent: Sent) -> Any:
    (span,) = [s for s in sent.spans() if s.scope == "varan.model_clients"]
    assert "SECRET" not in str([s.attributes for s in sent.spans()])
    calls = [s for s in sent.spans() if s.scope == "varan.httpx"]
    assert calls and {s.parent_id for s in calls} == {span.span_id}
    return span


ASK: Any = {
    "model": "gpt-x",
    "messages": [{"role": "user", "content": "SECRET"}],
    "temperature": 0.5,
}
OPENAI = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "server.address": "127.0.0.1",
    "gen_ai.request.model": "gpt-x", "gen_ai.request.temperature": 0.5, "gen_ai.response.model": "gpt-x-1",
}  # fmt: skip


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("stream", [False, True])
def test_openai_chat(sent: Sent, port: int, way: str, stream: bool) -> None:
    url = f"http://127.0.0.1:{port}/v1"
    if way == "sync":
        client = openai.OpenAI(api_key="SECRET", base_url=url)
        answer = client.chat.completions.create(**ASK, stream=stream)
        if stream:
            assert len(list(answer)) == 3
    else:

        async def main() -> None:
            async with openai.AsyncOpenAI(api_key="SECRET", base_url=url) as client:
                answer = await client.chat.completions.create(**ASK, stream=stream)
                if stream:
                    assert len([part async for part in answer]) == 3

        asyncio.run(main())
    span = model_span(sent)
    tokens = (3, 4, "chat2", "length") if stream else (9, 12, "chat1", "stop")
    assert span.name == "chat gpt-x" and span.kind == 3 and span.status == 0
    more = {"gen_ai.request.stream": True} if stream else {}
    assert span.attributes == {
        **OPENAI, "server.port": port, "gen_ai.usage.input_tokens": tokens[0], "gen_ai.usage.output_tokens": tokens[1],
        "gen_ai.response.id": tokens[2], "gen_ai.response.finish_reasons": [tokens[3]], **more,
    }  # fmt: skip
    shared = {k: v for k, v in OPENAI.items() if k != "gen_ai.request.temperature"}
    shared["server.port"] = port
    for kind, count in (("input", tokens[0]), ("output", tokens[1])):
        point = sent.point("gen_ai.client.token.usage", **shared, **{"gen_ai.token.type": kind})
        assert point.unit == "{token}" and point.raw.max >= count and point.raw.sum >= count
    assert sent.point("gen_ai.client.operation.duration", **shared).raw.count >= 1


def test_openai_embeddings_and_errors(sent: Sent, port: int) -> None:
    client = openai.OpenAI(api_key="x", base_url=f"http://127.0.0.1:{port}/v1", max_retries=0)
    client.embeddings.create(model="emb", input="SECRET")
    span = model_span(sent)
    assert span.name == "embeddings emb" and span.attributes["gen_ai.usage.input_tokens"] == 5
    sent.collector.spans.clear()
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="broken", messages=ASK["messages"])
    span = model_span(sent)
    assert span.status == 2 and span.attributes["error.type"].endswith("BadRequestError")
    assert span.attributes["http.response.status_code"] == 400


def test_a_stream_that_is_left(sent: Sent, port: int) -> None:
    client = openai.OpenAI(api_key="x", base_url=f"http://127.0.0.1:{port}/v1")
    stream = client.chat.completions.create(**ASK, stream=True)
    for _ in stream:
        break
    stream.close()
    del stream, _
    unread = client.chat.completions.create(**ASK, stream=True)
    unread.close()
    del unread
    __import__("gc").collect()
    spans = [s for s in sent.spans() if s.scope == "varan.model_clients"]
    assert len(spans) == 2


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic(sent: Sent, port: int, stream: bool) -> None:
    client = anthropic.Anthropic(api_key="x", base_url=f"http://127.0.0.1:{port}")
    ask: Any = {"model": "claude-x", "max_tokens": 50, "messages": ASK["messages"]}
    if stream:
        assert len(list(client.messages.create(**ask, stream=True))) >= 5
    else:
        assert client.messages.create(**ask).id == "msg1"
    span = model_span(sent)
    assert span.name == "chat claude-x" and span.attributes["gen_ai.provider.name"] == "anthropic"
    assert span.attributes["gen_ai.request.max_tokens"] == 50
    assert span.attributes["gen_ai.response.model"] == "claude-x-1"
    assert span.attributes["gen_ai.usage.input_tokens"] == 10
    assert span.attributes["gen_ai.usage.output_tokens"] == (7 if stream else 20)
    assert span.attributes["gen_ai.response.finish_reasons"] == ["end_turn"]


def test_boto3(sent: Sent, port: int) -> None:
    client = boto3.client(
        "dynamodb", region_name="eu-north-1", endpoint_url=f"http://127.0.0.1:{port}", aws_access_key_id="x",
        aws_secret_access_key="SECRET", config=botocore.config.Config(retries={"max_attempts": 0}),
    )  # fmt: skip
    with varan.span("outer") as outer:
        client.get_item(TableName="orders", Key={"id": {"S": "SECRET"}})
        with pytest.raises(botocore.exceptions.ClientError):
            client.get_item(TableName="missing", Key={"id": {"S": "1"}})
    good, bad = [s for s in sent.spans() if s.scope == "varan.botocore"]
    assert good.name == "DynamoDB.GetItem" and good.parent_id == outer.span_id and good.kind == 3
    assert good.attributes == {
        "rpc.system": "aws-api", "rpc.service": "DynamoDB", "rpc.method": "GetItem", "cloud.region": "eu-north-1",
        "aws.dynamodb.table_names": ["orders"], "aws.request_id": "request-1", "http.response.status_code": 200,
    }  # fmt: skip
    assert bad.status == 2 and bad.attributes["error.type"] == "ResourceNotFoundException"
    assert bad.attributes["http.response.status_code"] == 400
    calls = [s for s in sent.spans() if s.scope == "varan.urllib3"]
    assert {s.parent_id for s in calls} == {good.span_id, bad.span_id}
    assert "SECRET" not in str([s.attributes for s in sent.spans()])
