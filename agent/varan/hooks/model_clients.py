"""Clients of language models that are built alike (openai, anthropic): a client span per call by the gen_ai
conventions, with models, tokens and reasons to stop; tokens and durations as metrics, too. Neither prompts nor answers
are kept."""

from __future__ import annotations

import functools
import time
from typing import Any

from .. import _core

TRACER = _core.Tracer("varan.model_clients", _core.version)
CLIENT = 3

TOKENS = _core.Histogram(
    "gen_ai.client.token.usage", "{token}", "Input and output tokens", [4**i for i in range(14)], TRACER
)  # fmt: skip
DURATION = _core.Histogram(
    "gen_ai.client.operation.duration", "s", "Calls of models", [0.01 * 2**i for i in range(14)], TRACER
)  # fmt: skip

# Path → operation. Others (files, fine-tuning …) are plain HTTP calls.
OPERATIONS = {
    "/chat/completions": "chat", "/responses": "chat", "/v1/messages": "chat", "/completions": "text_completion",
    "/v1/complete": "text_completion", "/embeddings": "embeddings", "/images/generations": "generate_content",
    "/audio/speech": "generate_content", "/audio/transcriptions": "generate_content",
}  # fmt: skip
PARAMETERS = {
    "max_tokens": "max_tokens", "max_completion_tokens": "max_tokens", "max_output_tokens": "max_tokens",
    "temperature": "temperature", "top_p": "top_p", "top_k": "top_k", "frequency_penalty": "frequency_penalty",
    "presence_penalty": "presence_penalty", "seed": "seed", "n": "choice.count",
}  # fmt: skip
TOKEN_NAMES = {
    "input": ("input_tokens", "prompt_tokens"),
    "output": ("output_tokens", "completion_tokens"),
}


def _start(client: Any, options: Any) -> Answer | None:
    path = str(options.url).partition("?")[0].rstrip("/")
    if path.startswith("/openai/deployments/"):  # Azure
        path = "/" + path.split("/", 4)[-1]
    operation = OPERATIONS.get(path)
    if operation is None:
        return None
    given = options.json_data if isinstance(options.json_data, dict) else {}
    model = given.get("model")
    provider = type(client).__module__.partition(".")[0]
    url = client.base_url
    shared = {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": provider,
        "server.address": url.host,
        "server.port": url.port or (443 if url.scheme == "https" else 80),
    }
    if isinstance(model, str):
        shared["gen_ai.request.model"] = model
    span = TRACER.start_span(
        f"{operation} {model}" if isinstance(model, str) else operation,
        kind=CLIENT,
        attributes=shared,
    )
    for name, attribute in PARAMETERS.items():
        value = given.get(name)
        if isinstance(value, (int, float)) and not (name == "n" and value == 1):
            span.set(f"gen_ai.request.{attribute}", value)
    if given.get("stream"):
        span.set("gen_ai.request.stream", True)
    return Answer(span, shared)


def _first(usage: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        value = getattr(usage, name, None)
        if isinstance(value, int):
            return value
    return None


class Answer:
    """What is known of an answer, gathered from one object or from the parts of a stream. `shared`: attributes of the
    span that its metrics have, too."""

    def __init__(self, span: Any, shared: dict[str, Any]) -> None:
        self.span = span
        self.shared = shared
        self.begin = time.perf_counter()
        self.tokens: dict[str, Any] = {}  # input, output; of a stream the last ones told
        self.reasons: list[str] = []

    def __del__(self) -> None:
        self.span.end()  # a stream that nobody has read; else it has ended

    def note(self, part: Any) -> None:
        span = self.span
        for found in (part, getattr(part, "message", None), getattr(part, "response", None)):
            if found is None or isinstance(found, str):
                continue
            model, name = getattr(found, "model", None), getattr(found, "id", None)
            if isinstance(model, str):
                span.set("gen_ai.response.model", model)
                self.shared["gen_ai.response.model"] = model
            if isinstance(name, str) and isinstance(model, str):
                span.set("gen_ai.response.id", name)
            usage = getattr(found, "usage", None)
            if usage is not None:
                for kind, names in TOKEN_NAMES.items():
                    count = _first(usage, names)
                    span.set(f"gen_ai.usage.{kind}_tokens", count)
                    if count is not None:
                        self.tokens[kind] = count
        for choice in getattr(part, "choices", None) or ():
            self._stop(getattr(choice, "finish_reason", None))
        for found in (part, getattr(part, "delta", None)):
            self._stop(getattr(found, "stop_reason", None))

    def _stop(self, reason: Any) -> None:
        if isinstance(reason, str):
            self.reasons.append(reason)

    def end(self, error: BaseException | None = None) -> None:
        if self.reasons:
            self.span.set("gen_ai.response.finish_reasons", self.reasons)
        if isinstance(error, Exception):
            self.shared["error.type"] = type(error).__qualname__
            self.span.fail(error)
            status = getattr(error, "status_code", None)
            if isinstance(status, int):
                self.span.set("http.response.status_code", status)
        self._count()
        self.span.end()

    def _count(self) -> None:
        DURATION.record(time.perf_counter() - self.begin, self.shared)
        for kind, count in self.tokens.items():
            TOKENS.record(count, {**self.shared, "gen_ai.token.type": kind})


def _follow(stream: Any, answer: Answer) -> None:
    """Lets a stream tell its parts. It ends with its last part, or when it is closed or dropped."""
    inner = stream._iterator

    def parts() -> Any:
        failed: BaseException | None = None
        try:
            for part in inner:
                _try_note(answer, part)
                yield part
        except BaseException as error:
            failed = error
            raise
        finally:
            answer.end(failed)

    async def async_parts() -> Any:
        failed: BaseException | None = None
        try:
            async for part in inner:
                _try_note(answer, part)
                yield part
        except BaseException as error:
            failed = error
            raise
        finally:
            answer.end(failed)

    stream._iterator = async_parts() if hasattr(inner, "__anext__") else parts()


def _try_note(answer: Answer, part: Any) -> None:
    try:
        answer.note(part)
    except Exception:
        pass


def _answered(answer: Answer, result: Any) -> None:
    try:
        if hasattr(result, "_iterator"):
            _follow(result, answer)
            return
        _try_note(answer, result)
    except Exception:
        pass
    answer.end()


def _wrap(client: Any) -> None:
    request = client.request

    @functools.wraps(request)
    def traced_request(self: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            answer = _start(self, options)
        except Exception:
            answer = None
        if answer is None:
            return request(self, cast_to, options, *args, **kwargs)
        span = answer.span
        span.activate()
        try:
            result = request(self, cast_to, options, *args, **kwargs)
        except Exception as error:
            span.deactivate()
            answer.end(error)
            raise
        span.deactivate()
        _answered(answer, result)
        return result

    client.request = traced_request


def _wrap_async(client: Any) -> None:
    request = client.request

    @functools.wraps(request)
    async def traced_request(
        self: Any, cast_to: Any, options: Any, *args: Any, **kwargs: Any
    ) -> Any:
        try:
            answer = _start(self, options)
        except Exception:
            answer = None
        if answer is None:
            return await request(self, cast_to, options, *args, **kwargs)
        span = answer.span
        span.activate()
        try:
            result = await request(self, cast_to, options, *args, **kwargs)
        except BaseException as error:
            span.deactivate()
            answer.end(error)
            raise
        span.deactivate()
        _answered(answer, result)
        return result

    client.request = traced_request


def install(module: Any) -> None:
    _wrap(module.SyncAPIClient)
    _wrap_async(module.AsyncAPIClient)
