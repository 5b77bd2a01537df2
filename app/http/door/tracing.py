"""Traces: a span for each request, sent to a collector over OTLP, in batches and beside the requests.

This module is loaded only where there is an endpoint to send to. Exported of a request are only its method, route and
status, how its caller was known, and what was decided: no path, no query, no header and no name.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager

import structlog
from litestar.enums import ScopeType
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
from app.audit.log import DecisionLog
from app.audit.record import Unverified
from app.identity.principal import Principal
from app.policy.engine.decision import Decision
from app.policy.routing.routes import METHODS

_PATH = "/v1/traces"
_TIMEOUT = "OTEL_EXPORTER_OTLP_TIMEOUT"
_TIMEOUT_SECONDS = 5.0
_STOP_SECONDS = 1.0
_AUTHZEN = "authzen"  # of whom many questions may be in one request
_Headers = Iterable[tuple[bytes, bytes]]
_log = structlog.stdlib.get_logger("traces")


class TracedLog(DecisionLog):
    """A decision log that tells the span of a request what was decided about it."""

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
        """As without traces."""
        super().note(door, resource, action, principal, outcome, started=started)
        span = trace.get_current_span()
        if door != _AUTHZEN and span.is_recording():
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
    """Spans of this process, sent to the collector at an endpoint such as `http://collector:4318`.

    `sample` is the share of traces that are begun here and kept. A trace that comes with a request is kept, or not, as
    its `traceparent` says.
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
        """Begin to trace, in the process that serves: the thread that exports lives in no copy of it."""
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "griddy-authz"}
        resource = Resource.create({**named, "service.version": __version__})
        timeout = None if _TIMEOUT in os.environ else _TIMEOUT_SECONDS
        self._exporter = _Exporter(OTLPSpanExporter(self._endpoint, timeout=timeout))
        self._provider = TracerProvider(sampler=self._sampler, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("griddy-authz", __version__)

    async def stop(self) -> None:
        """Send what waits, within a few seconds."""
        if self._provider is None or self._exporter is None:
            return
        late = asyncio.get_running_loop().call_later(_STOP_SECONDS, self._exporter.give_up)
        await asyncio.to_thread(self._provider.shutdown)
        late.cancel()

    def span(self, name: str) -> AbstractContextManager[object]:
        """A span below that of the request at hand."""
        # What an error says may quote its cause, and stays here.
        return self._tracer.start_as_current_span(
            name, kind=trace.SpanKind.CLIENT, record_exception=False, set_status_on_exception=False
        )

    def traced(self, app: ASGIApp) -> ASGIApp:
        """The application, with a span around each request."""

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] not in (ScopeType.HTTP, ScopeType.WEBSOCKET):  # lifespan
                await app(scope, receive, send)
                return
            method = _method(scope)
            headers: _Headers = scope["headers"]
            context = self._propagator.extract(headers, Context(), _HEADERS)
            span = self._tracer.start_span(method, context, trace.SpanKind.SERVER)
            status = 0

            async def send_noting_status(message: Message) -> None:
                nonlocal status
                if message["type"] in ("http.response.start", "websocket.http.response.start"):
                    status = message["status"]
                await send(message)

            ids = span.get_span_context()
            logs.trace.set((trace.format_trace_id(ids.trace_id), trace.format_span_id(ids.span_id)))
            token = attach(trace.set_span_in_context(span, context))
            try:
                await app(scope, receive, send_noting_status)
            finally:
                detach(token)
                _conclude(span, scope, method, status)

        return traced


class _FromHeaders(Getter[_Headers]):
    """Headers of a request. One sent more than once is left out: it is ambiguous.

    `tracestate` is left alone: it may say anything, and nothing is asked of anybody in its name.
    """

    def get(self, carrier: _Headers, key: str) -> list[str] | None:
        if key == "tracestate":
            return None
        name = key.encode()
        found = [value.decode("latin-1") for header, value in carrier if header == name]
        return found if len(found) == 1 else None

    def keys(self, carrier: _Headers) -> list[str]:
        return [name.decode("latin-1") for name, _ in carrier]


_HEADERS = _FromHeaders()


class _Exporter(SpanExporter):
    """An exporter that says once that the collector is away, and once that it is back."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        self._exporter = exporter
        self._away = False
        self._gave_up = threading.Event()
        self._said = _ExporterLogFilter()
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(self._said)
        # We report a full queue ourselves: it is full because the collector is unavailable.
        logging.getLogger("opentelemetry.sdk").setLevel(logging.ERROR)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send them. Runs in a thread of its own."""
        if self._gave_up.is_set():
            return SpanExportResult.FAILURE
        self._said.first = ""
        result = self._exporter.export(spans)
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            _log.warning("traces do not reach the collector, and are dropped", error=self._said.first)
        elif self._away and not away:
            _log.info("traces reach the collector again")
        self._away = away
        return result

    def give_up(self) -> None:
        """Send no more."""
        self._gave_up.set()
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library's own omission

    def shutdown(self) -> None:
        """End, after everything was sent."""
        if not self._gave_up.is_set():
            self._exporter.shutdown()  # type: ignore[no-untyped-call]  # the library's own omission


class _ExporterLogFilter(logging.Filter):
    """Keeps the library's own lines from the log, which come with each try, and the first of a batch to be told."""

    first = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.first = self.first or record.getMessage()
        return False


def _method(scope: Scope) -> str:
    if scope["type"] == ScopeType.WEBSOCKET:
        return "WEBSOCKET"
    return scope["method"] if scope["method"] in METHODS else "_OTHER"


def _conclude(span: trace.Span, scope: Scope, method: str, status: int) -> None:
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
