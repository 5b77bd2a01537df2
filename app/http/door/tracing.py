"""Tracing: a span for each request, exported over OTLP in batches by a background thread.

This module is imported only if an endpoint is set. A span contains the method, route and status of the request, the
method of authentication and the decision: no path, no query, no header and no name.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

import structlog
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__, logs
from app.audit.decision_class import AUTHZEN_DOOR
from app.audit.log import DecisionLog
from app.audit.record import Unverified
from app.http.wire.scope_types import HTTP, WEBSOCKET
from app.identity.principal import Principal
from app.policy.engine.decision import Decision
from app.policy.routing.routes import METHODS

_PATH = "/v1/traces"
_TIMEOUT = "OTEL_EXPORTER_OTLP_TIMEOUT"
_TIMEOUT_SECONDS = 5.0
_STOP_SECONDS = 1.0
_Headers = Iterable[tuple[bytes, bytes]]
_log = structlog.stdlib.get_logger("traces")


class TracedLog(DecisionLog):
    """A decision log that adds each decision to the span of its request."""

    def note(
        self,
        door: str,
        resource: str,
        action: str,
        principal: Principal | None,
        outcome: Decision | Unverified,
        *,
        started: int,
    ) -> None:
        """Log a decision, and set the attributes of the current span."""
        super().note(door, resource, action, principal, outcome, started=started)
        span = trace.get_current_span()  # a request of AuthZEN may contain many evaluations
        if door != AUTHZEN_DOOR and span.is_recording():
            span.set_attributes(
                {
                    "authz.door": door,
                    "authz.resource": resource,
                    "authz.principal.method": principal.method if principal else "unknown",
                    "authz.decision": "allow" if outcome else "deny",
                    "authz.reason": str(outcome.reason),
                    "authz.revision": outcome.revision,
                }
            )


class Tracing:
    """Creates the spans of this process and exports them to an endpoint such as `http://collector:4318`.

    `sample` is the share of traces to keep, of those that start here. A trace that a caller started is kept if its
    `traceparent` says so.
    """

    decision_log = TracedLog

    def __init__(self, endpoint: str, sample: float) -> None:
        self._endpoint = endpoint.rstrip("/") + _PATH
        self._sampler = ParentBased(TraceIdRatioBased(sample))
        self._propagator = TraceContextTextMapPropagator()
        self._tracer: trace.Tracer = trace.NoOpTracer()
        self._provider: TracerProvider | None = None
        self._exporter: _Exporter | None = None

    def start(self) -> None:
        """Start tracing. Call it in the worker process: the exporting thread does not survive a fork."""
        name = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "griddy-authz"}
        resource = Resource.create({**name, "service.version": __version__})
        timeout = None if _TIMEOUT in os.environ else _TIMEOUT_SECONDS
        self._exporter = _Exporter(OTLPSpanExporter(self._endpoint, timeout=timeout))
        self._provider = TracerProvider(sampler=self._sampler, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("griddy-authz", __version__)

    async def stop(self) -> None:
        """Export the remaining spans, within a few seconds."""
        if self._provider is None or self._exporter is None:
            return
        timer = asyncio.get_running_loop().call_later(_STOP_SECONDS, self._exporter.give_up)
        await asyncio.to_thread(self._provider.shutdown)
        timer.cancel()

    def span(self, name: str) -> AbstractContextManager[object]:
        """A child span of the current request's span."""
        # The text of an exception may contain confidential data.
        return self._tracer.start_as_current_span(
            name, kind=trace.SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        )

    def traced(self, app: ASGIApp) -> ASGIApp:
        """The application, with a span around each request."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in (HTTP, WEBSOCKET):  # lifespan
                await app(scope, receive, send)
                return
            method = _method(scope)
            headers: _Headers = scope["headers"]
            context = self._propagator.extract(headers, Context(), _HEADERS)
            span = self._tracer.start_span(method, context, trace.SpanKind.SERVER)
            status = 0

            async def send_and_record_status(message: Message) -> None:
                nonlocal status
                if message["type"] in ("http.response.start", "websocket.http.response.start"):
                    status = message["status"]
                await send(message)

            ids = span.get_span_context()
            logs.trace.set((trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id)))
            token = attach(trace.set_span_in_context(span, context))
            try:
                await app(scope, receive, send_and_record_status)
            finally:
                detach(token)
                _end_span(span, scope, method, status)

        return traced


class _HeaderGetter(Getter[_Headers]):
    """Reads headers of a request. A header that is sent more than once is ambiguous and ignored.

    `tracestate` is ignored too: no request is sent on behalf of the caller.
    """

    def get(self, carrier: _Headers, key: str) -> list[str] | None:
        if key == "tracestate":
            return None
        name = key.encode()
        found = [value.decode("latin-1") for header, value in carrier if header == name]
        return found if len(found) == 1 else None

    def keys(self, carrier: _Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_HEADERS = _HeaderGetter()


class _Exporter(SpanExporter):
    """An exporter that logs once that the collector is unavailable, and once that it is available again."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._is_failing = False
        self._gave_up = threading.Event()
        self._log_filter = _ExporterLogFilter()
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(self._log_filter)
        # We report a full queue ourselves: it is full because the collector is unavailable.
        logging.getLogger("opentelemetry.sdk").setLevel(logging.ERROR)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export spans. The provider calls this in its background thread."""
        if self._gave_up.is_set():
            return SpanExportResult.FAILURE
        self._log_filter.first = ""
        result = self._exporter.export(spans)
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._is_failing:
            _log.warning("traces do not reach the collector, and are dropped", error=self._log_filter.first)
        elif self._is_failing and not is_failing:
            _log.info("traces reach the collector again")
        self._is_failing = is_failing
        return result

    def give_up(self) -> None:
        """Stop exporting, even if spans remain."""
        self._gave_up.set()
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library's own omission

    def shutdown(self) -> None:
        """Shut down after all spans were exported."""
        if not self._gave_up.is_set():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library's own omission


class _ExporterLogFilter(logging.Filter):
    """Suppresses the library's log records, one for each attempt, and keeps the first message of a batch."""

    first = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.first = self.first or record.getMessage()
        return False


def _method(scope: Scope) -> str:
    if scope["type"] == WEBSOCKET:
        return "WEBSOCKET"
    return scope["method"] if scope["method"] in METHODS else "_OTHER"


def _end_span(span: trace.Span, scope: Scope, method: str, status: int) -> None:
    if span.is_recording():
        route = scope.get("path_template")
        span.set_attribute("http.request.method", method)
        if route:
            span.update_name(f"{method} {route}")
            span.set_attribute("http.route", route)
        if status:
            span.set_attribute("http.response.status_code", status)
        if status >= 500 or not status:
            span.set_status(trace.StatusCode.ERROR)
    span.end()
