"""Structured logs on standard error: one line each, with the request id, never with a secret."""

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

# The id of the request at hand; every line logged on its behalf carries it.
request_id: ContextVar[str] = ContextVar("request_id", default="")
# The ids of its trace and of its span, in hexadecimal digits, where requests are traced.
trace: ContextVar[tuple[str, str] | None] = ContextVar("trace", default=None)


MAX_LISTED = 10  # items of a list in one line
MAX_ITEM = 300  # characters of an item


def first_lines(items: Sequence[object]) -> list[str]:
    """The first items of a list as texts, each cut, so that a line of the log does not grow with the policy."""
    texts = [str(item) for item in items[:MAX_LISTED]]
    return [text if len(text) <= MAX_ITEM else f"{text[:MAX_ITEM]}…" for text in texts]


def configure(level: str, style: Literal["json", "console"]) -> None:
    """Send our own lines and those of libraries the same way. `level` is a name such as `info`."""
    shared: list[Processor] = [
        _with_ids,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    # Plain tracebacks: a pretty one prints local variables, and a token is one.
    final: list[Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_json)]
        if style == "json"
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    handler.addFilter(FloodFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Libraries whose every step is no news to an operator; httpx would log each key set fetch.
    for name in (
        "httpx",
        "httpcore",
        "urllib3",
        "watchfiles",
        "aiosqlite",
        "sqlalchemy.engine",
        "alembic",
        "uvicorn.error",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Casbin tells each policy that it loads, and each denial with all that was held.
    logging.getLogger("casbin").setLevel(logging.CRITICAL)


def _with_ids(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    if known := request_id.get():
        event["request_id"] = known
    if ids := trace.get():
        event["trace_id"], event["span_id"] = ids
    return event


def _json(event: EventDict, **_options: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()
