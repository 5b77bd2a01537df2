"""Media types of responses with JSON on each line, which a client may ask for as plain text."""

from __future__ import annotations

from app.services import AnyRequest

JSON_LINES, NDJSON, PLAIN = "application/jsonl", "application/x-ndjson", "text/plain"


def line_type(request: AnyRequest, media_type: str) -> str:
    """The media type of a response: plain text for a client that prefers it, else `media_type`."""
    prefers_text = request.accept.best_match([media_type, PLAIN]) == PLAIN
    return PLAIN if prefers_text else media_type
