"""Messages of the Model Context Protocol over HTTP: JSON-RPC, and what a request states about itself.

Since revision 2026-07-28 each request states its protocol version; before, a client stated it once, with `initialize`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MODERN = ("2026-07-28",)
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022
META = "io.modelcontextprotocol/"


class RpcError(Exception):
    """An error of JSON-RPC, with the status of its HTTP response."""

    def __init__(self, code: int, message: str, *, status: int = 200, data: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.content = {"code": code, "message": message, **({"data": data} if data else {})}
        self.status = status
        self.request_id: object = None


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """A request. One without `id` is a notification. `is_modern` says that it states its own protocol version."""

    id: str | int | None
    method: str
    params: Mapping[str, Any]
    is_modern: bool


def read_request(body: bytes, headers: Mapping[str, str]) -> RpcRequest:
    """Read the request in a body. Raises RpcError."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "The body is not JSON, or has more than 64 KB.", status=400) from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "The body is not one message of JSON-RPC 2.0.", status=400)
    try:
        return _read(message, headers)
    except RpcError as error:
        error.request_id = message.get("id")
        raise


def _read(message: Mapping[str, Any], headers: Mapping[str, str]) -> RpcRequest:
    method, params, request_id = message.get("method"), message.get("params", {}), message.get("id")
    if not isinstance(method, str) or not isinstance(params, dict) or not isinstance(request_id, str | int | None):
        raise RpcError(INVALID_REQUEST, "The message is not a request.", status=400)
    meta = params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    stated = headers.get("mcp-protocol-version")
    is_modern = f"{META}protocolVersion" in meta or (stated is not None and stated not in LEGACY)
    if is_modern:
        _check_stated(method, params, meta, headers)
    return RpcRequest(request_id, method, params, is_modern)


def _check_stated(method: str, params: Mapping[str, Any], meta: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """Check what a request states about itself, in its body and again in its headers. Raises RpcError."""
    version = meta.get(f"{META}protocolVersion")
    if not isinstance(version, str) or not isinstance(meta.get(f"{META}clientCapabilities"), dict):
        raise RpcError(INVALID_PARAMS, "`_meta` must state the protocol version and capabilities.", status=400)
    expected = {"mcp-protocol-version": version, "mcp-method": method}
    if method == "tools/call":
        expected["mcp-name"] = str(params.get("name"))
    for name, value in expected.items():
        if headers.get(name) != value:
            raise RpcError(HEADER_MISMATCH, f"The header {name} is not what the body says.", status=400)
    if version not in MODERN:
        data = {"supported": [*MODERN, *LEGACY], "requested": version}
        raise RpcError(UNSUPPORTED_VERSION, "Unsupported protocol version.", status=400, data=data)
