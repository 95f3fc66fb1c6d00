"""The OpenTelemetry logs API on Varan, and the same calls on its own SDK."""

from __future__ import annotations

import json

from collector import Collector

from conftest import OLD_SDK, Program

PROGRAM = """
    from opentelemetry import _logs, trace
    from opentelemetry._logs import LogRecord, SeverityNumber
    {provider}
    logger = _logs.get_logger("shop", "1.2", attributes={{"team": "a"}})
    logger.emit(LogRecord(timestamp=10**18, severity_number=SeverityNumber.WARN, severity_text="WARN",
        body="paid", attributes={{"n": 1, "list": [1, 2]}}, event_name="order.paid"))
    logger.emit(body={{"a": [1, "x"]}}, severity_number=SeverityNumber.ERROR)
    with trace.get_tracer("t").start_as_current_span("work") as span:
        logger.emit(body="inside")
    context = trace.set_span_in_context(trace.NonRecordingSpan(trace.SpanContext(
        0x0af7651916cd43dd8448eb211c80319c, 0xb7ad6b7169203331, False, trace.TraceFlags(1))))
    logger.emit(body="elsewhere", context=context)
    {failed}
    logger.emit(body="bad \\ud800", attributes={{"nan": float("nan")}})
    _logs.get_logger_provider().force_flush()
    import os
    os._exit(0)
"""


FAILED = """try:
        1 / 0
    except ZeroDivisionError as error:
        logger.emit(body="failed", exception=error)"""


def told(collector: Collector) -> list[str]:
    found = []
    for log in collector.logs:
        a = {
            k: v
            for k, v in log.attributes.items()
            if k != "exception.stacktrace" and not k.startswith("varan.")
        }
        a.pop("exception.escaped", None)
        inside = bool(log.trace_id) if log.body == "inside" else log.trace_id + log.span_id
        raw = log.raw
        found.append(
            json.dumps([log.body, log.severity, log.severity_text, a, raw.event_name, log.scope,
                        raw.time_unix_nano, raw.flags & 1, inside])
        )  # fmt: skip
    return found


SDK = """
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk.trace import TracerProvider
    trace.set_tracer_provider(TracerProvider())
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(OTLPLogExporter()))
    _logs.set_logger_provider(provider)
"""


def test_equal_to_the_sdk(program: Program, collector: Collector) -> None:
    program.run(PROGRAM.format(provider="", failed=FAILED))
    ours = told(collector)
    assert len(ours) == 6 and "ZeroDivisionError" in ours[4]
    collector.logs.clear()
    env = {"VARAN_DISABLED": "1", "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint}
    # The old one takes no exceptions.
    program.run(PROGRAM.format(provider=SDK, failed="" if OLD_SDK else FAILED), **env)
    theirs = told(collector)
    compared = 4 if OLD_SDK else 5
    assert ours[:compared] == theirs[:compared]


def test_limits_of_records(program: Program, collector: Collector) -> None:
    """Those of log records are their own; the body has none of them."""
    program.run(
        """
        import logging, varan
        from opentelemetry._logs import LogRecord, get_logger
        with varan.span("short", text="0123456789"):
            get_logger("shop").emit(LogRecord(body="x" * 100, attributes={"text": "0123456789", "list": ["abcdefghi"]}))
            logging.getLogger("shop").warning("y" * 100, extra={"text": "0123456789"})
        """,
        OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="3",
        OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT="6",
    )
    assert collector.spans[0].attributes["text"] == "012"
    by_body = {log.body: log.attributes for log in collector.logs}
    assert by_body["x" * 100] == {"text": "012345", "list": ["abcdef"]}
    assert by_body["y" * 100]["text"] == "012345"
