"""Configuration of structured logs: one line for each record on standard error, with the request id."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Literal

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from app.log_floods import FloodFilter
from app.log_stream import LogStream

# The id of the current request, in all of its log lines.
request_id: ContextVar[str] = ContextVar("request_id", default="")
# The ids of the current trace and span, in hexadecimal digits, if tracing is on.
trace: ContextVar[tuple[str, str] | None] = ContextVar("trace", default=None)

stream = LogStream()
floods = FloodFilter()
console_renderer: structlog.dev.ConsoleRenderer | None = None  # None for the style `json`

MAX_LISTED = 10  # items of a list in one line
MAX_ITEM = 300  # characters of an item


def first_lines(items: Sequence[object]) -> list[str]:
    """The first items of a list as truncated texts, so that the size of a log line is bounded."""
    texts = [str(item) for item in items[:MAX_LISTED]]
    return [text if len(text) <= MAX_ITEM else f"{text[:MAX_ITEM]}…" for text in texts]


def configure(level: str, style: Literal["json", "console"]) -> None:
    """Configure the logs of the application and of libraries. `level` is a name such as `info`."""
    global console_renderer  # noqa: PLW0603  # like the configuration of structlog
    shared: list[Processor] = [
        _with_ids,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # Plain tracebacks: structlog's default prints local variables, which may be tokens.
    plain = structlog.dev.plain_traceback
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    console_renderer = renderer if style == "console" else None
    final: list[Processor] = [renderer]
    if style == "json":
        final = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    handler = _LineHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    handler.addFilter(floods)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # These libraries log routine operations at `info`, such as each request of httpx.
    for name in (
        "httpx",
        "httpcore",
        "urllib3",
        "watchfiles",
        "aiosqlite",
        "sqlalchemy.engine",
        "alembic",
        "app.db.pool_private",  # a pool of SQLAlchemy, which logs under the name of its class
        "uvicorn.error",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Casbin logs each policy that it loads, and each denial with the grants of the caller.
    logging.getLogger("casbin").setLevel(logging.CRITICAL)


class _LineHandler(logging.Handler):
    """Writes each record as a line to the stream of the log."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception:  # noqa: BLE001  # like the handlers of the standard library
            self.handleError(record)
        else:
            stream.write(f"{line}\n".encode(errors="backslashreplace"), reserved=True)


def _with_ids(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    if known := request_id.get():
        event["request_id"] = known
    if ids := trace.get():
        event["trace_id"], event["span_id"] = ids
    return event


def _json(event: EventDict, **_options: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
