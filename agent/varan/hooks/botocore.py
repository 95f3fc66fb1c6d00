"""botocore, and with it boto3: a client span per operation, its HTTP calls below it; SQS and SNS carry the trace."""

from __future__ import annotations

import functools
from typing import Any

from .. import _core
from . import _aws_messages

TRACER = _core.Tracer("varan.botocore", _core.version)
CLIENT, PRODUCER, CONSUMER = 3, 4, 5

# What names the thing that an operation works on; values are names, not content.
RESOURCES = {
    "Bucket": "aws.s3.bucket", "Key": "aws.s3.key", "TableName": "aws.dynamodb.table_names", "QueueUrl": "aws.sqs.queue.url",
    "TopicArn": "aws.sns.topic.arn", "FunctionName": "faas.invoked_name", "StreamName": "aws.kinesis.stream_name",
}  # fmt: skip


def _kind(service: str, operation: str) -> int:
    if (service, operation) in _aws_messages.SENDING:
        return PRODUCER
    return CONSUMER if (service, operation) == _aws_messages.RECEIVING else CLIENT


def _start(client: Any, operation: str, parameters: Any) -> Any:
    model = client._service_model
    span = TRACER.start_span(
        f"{model.service_id}.{operation}",
        kind=_kind(str(model.service_id), operation),
        attributes={
            "rpc.system": "aws-api",
            "rpc.service": str(model.service_id),
            "rpc.method": operation,
            "cloud.region": client.meta.region_name,
        },
    )
    if isinstance(parameters, dict):
        for name, attribute in RESOURCES.items():
            value = parameters.get(name)
            if isinstance(value, str):
                span.set(attribute, [value] if name == "TableName" else value)
    return span


def _note(span: Any, response: Any) -> None:
    found = response.get("ResponseMetadata") if isinstance(response, dict) else None
    if found:
        span.set("aws.request_id", found.get("RequestId"))
        span.set("http.response.status_code", found.get("HTTPStatusCode"))
        if found.get("RetryAttempts"):
            span.set("http.request.resend_count", found["RetryAttempts"])


def install(module: Any) -> None:
    client = module.BaseClient
    call = client._make_api_call

    @functools.wraps(call)
    def traced_call(self: Any, operation_name: Any, api_params: Any) -> Any:
        try:
            span = _start(self, operation_name, api_params)
            span.activate()
        except Exception:
            return call(self, operation_name, api_params)
        service = ""
        try:
            service = str(self._service_model.service_id)
            api_params = _aws_messages.prepare(service, operation_name, api_params, span)
        except Exception:  # then they go as they are
            pass
        try:
            response = call(self, operation_name, api_params)
            try:
                _note(span, response)
                _aws_messages.note(service, operation_name, response, span)
            except Exception:
                pass
            return response
        except Exception as error:
            _note(span, getattr(error, "response", None))
            span.fail(error)
            # The service's own name for it says more than the one class for all.
            code = (getattr(error, "response", None) or {}).get("Error", {}).get("Code")
            if code:
                span.set("error.type", str(code))
            raise
        finally:
            span.finish()

    client._make_api_call = traced_call
