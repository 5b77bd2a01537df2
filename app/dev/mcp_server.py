"""A small MCP server behind a gateway, to try MCP clients with: JSON-RPC over streamable HTTP, without sessions.

It speaks revision 2026-07-28 of the Model Context Protocol, and the earlier ones with `initialize`. It never sees a
token: the gateway decides about connecting, and about each tool by its path.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from app import __version__
from app.db.engine import open_engine
from app.db.session import sessions_of
from app.dev.gateway import LocalGateway
from app.dev.mcp_tools import TOOLS, ToolError
from app.dev.wire import Reply, json_reply, read, send_reply

PATH = "/mcp"
SERVICE = "mcp"
POLICY = Path(__file__).parent / "mcp_policy"
MODERN = ("2026-07-28",)
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26")
PARSE_ERROR, INVALID_REQUEST, UNKNOWN_METHOD, INVALID_PARAMS = -32700, -32600, -32601, -32602
HEADER_MISMATCH, UNSUPPORTED_VERSION = -32020, -32022
_META = "io.modelcontextprotocol/"
_INFO = {"name": "griddy-sample", "title": "Griddy sample", "version": __version__}
_CAPABILITIES: Mapping[str, object] = {"tools": {}}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TOOLS = {tool.name: tool for tool in TOOLS}
_PASSED_ON = ("content-type", "www-authenticate", "retry-after", "cache-control")


class RpcError(Exception):
    """An error of JSON-RPC, with the status of its HTTP response."""

    def __init__(self, code: int, message: str, *, status: int = 200, data: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.content = {"code": code, "message": message, **({"data": data} if data else {})}
        self.status = status


@dataclass(frozen=True, slots=True)
class RpcRequest:
    """A request. One without `id` is a notification. `is_modern` says that it states its own protocol version."""

    id: str | int | None
    method: str
    params: Mapping[str, Any]
    is_modern: bool


class McpServer:
    """The server at `PATH`, whose tools use the database of the sample API."""

    def __init__(self, gateway: LocalGateway, database_url: str) -> None:
        self._gateway = gateway
        self._engine = open_engine(database_url)
        self._sessions = sessions_of(self._engine)

    async def close(self) -> None:
        """Close the connections to the database."""
        await self._engine.dispose()

    async def answer(self, scope: HTTPScope, body: bytes) -> Reply:
        """The response to an HTTP request."""
        headers = {name.decode(): value.decode("latin-1").strip(" \t") for name, value in scope["headers"]}
        if not _is_local(
            headers.get("origin")
        ):  # a page of another site whose name was made to resolve to this machine
            return _failed(None, RpcError(INVALID_REQUEST, "The Origin is not of this machine.", status=403))
        if scope["method"] != "POST":
            return json_reply(405, {"detail": "Send a POST: this server opens no stream."}, ("Allow", "POST"))
        if (refused := await self._ask(scope, PATH)).status_code != 200:
            return _passed_on(refused)
        request_id = None
        try:
            message = _parse(body)
            request_id = message.get("id")
            request = _read(message, headers)
            if request.id is None:
                return Reply(202, (), b"")
            if request.method == "tools/call":
                return await self._call(scope, request)
            return _answered(request, _result(request))
        except RpcError as error:
            return _failed(request_id, error)

    async def _call(self, scope: HTTPScope, request: RpcRequest) -> Reply:
        tool = _TOOLS.get(str(request.params.get("name")))
        arguments = request.params.get("arguments") or {}
        if tool is None or not isinstance(arguments, dict):
            raise RpcError(INVALID_PARAMS, "There is no such tool, or its arguments are not an object.")
        if unknown := arguments.keys() - tool.properties.keys():
            raise RpcError(INVALID_PARAMS, f"The tool has no argument {', '.join(sorted(unknown))}.")
        allowed = await self._ask(scope, f"{PATH}/tools/{tool.name}")
        if allowed.status_code != 200:  # with its challenge: the client asks its user for the scope that is missing
            return _passed_on(allowed)
        async with self._sessions() as session:
            try:
                text, is_error = await tool.run(session, unquote(allowed.headers["x-auth-subject"]), arguments), False
            except ToolError as error:
                text, is_error = str(error), True
        return _answered(request, {"content": [{"type": "text", "text": text}], "isError": is_error})

    async def _ask(self, scope: HTTPScope, path: str) -> httpx.Response:
        client = scope.get("client")
        return await self._gateway.ask("POST", path, scope["headers"], client[0] if client else None)


def with_mcp(app: ASGIApp, server: McpServer) -> ASGIApp:
    """The application, with the MCP server at its path."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["raw_path"] == PATH.encode():
            body = (await read(scope, receive)).body.encode("latin-1")
            await send_reply(await server.answer(scope, body), send)
        else:
            await app(scope, receive, send if "path" in scope else closing(send))

    def closing(send: Send) -> Send:
        """Send the messages of the lifespan, and before the last one close the server: afterwards nothing may run."""

        async def send_after_close(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await server.close()
            await send(message)

        return send_after_close

    return dispatch


def _parse(body: bytes) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise RpcError(PARSE_ERROR, "The body is not JSON, or has more than 64 KB.", status=400) from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise RpcError(INVALID_REQUEST, "The body is not one message of JSON-RPC 2.0.", status=400)
    return message


def _read(message: Mapping[str, Any], headers: Mapping[str, str]) -> RpcRequest:
    method, params, request_id = message.get("method"), message.get("params", {}), message.get("id")
    if not isinstance(method, str) or not isinstance(params, dict) or not isinstance(request_id, str | int | None):
        raise RpcError(INVALID_REQUEST, "The message is not a request.", status=400)
    meta = params.get("_meta")
    meta = meta if isinstance(meta, dict) else {}
    stated = headers.get("mcp-protocol-version")
    is_modern = f"{_META}protocolVersion" in meta or (stated is not None and stated not in LEGACY)
    if is_modern:
        _check_stated(method, params, meta, headers)
    return RpcRequest(request_id, method, params, is_modern)


def _check_stated(method: str, params: Mapping[str, Any], meta: Mapping[str, Any], headers: Mapping[str, str]) -> None:
    """Check what a request states about itself, in its body and again in its headers. Raises RpcError."""
    version = meta.get(f"{_META}protocolVersion")
    if not isinstance(version, str) or not isinstance(meta.get(f"{_META}clientCapabilities"), dict):
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


def _result(request: RpcRequest) -> Mapping[str, object]:
    match request.method:
        case "server/discover" if request.is_modern:
            return {"supportedVersions": [*MODERN, *LEGACY], "capabilities": _CAPABILITIES, **_cached()}
        case "initialize" if not request.is_modern:
            requested = request.params.get("protocolVersion")
            version = requested if requested in LEGACY else LEGACY[0]
            return {"protocolVersion": version, "capabilities": _CAPABILITIES, "serverInfo": _INFO}
        case "ping" if not request.is_modern:
            return {}
        case "tools/list":
            return {"tools": [tool.describe() for tool in TOOLS], **(_cached() if request.is_modern else {})}
    raise RpcError(UNKNOWN_METHOD, "There is no such method.", status=404 if request.is_modern else 200)


def _cached() -> Mapping[str, object]:
    return {"ttlMs": 60_000, "cacheScope": "public"}


def _answered(request: RpcRequest, result: Mapping[str, object]) -> Reply:
    if request.is_modern:
        result = {**result, "resultType": "complete", "_meta": {f"{_META}serverInfo": _INFO}}
    return json_reply(200, {"jsonrpc": "2.0", "id": request.id, "result": result})


def _failed(request_id: object, error: RpcError) -> Reply:
    return json_reply(error.status, {"jsonrpc": "2.0", "id": request_id, "error": error.content})


def _passed_on(answer: httpx.Response) -> Reply:
    """The refusal of the gateway, as the client gets it."""
    headers = ((name, answer.headers[name]) for name in _PASSED_ON if name in answer.headers)
    return Reply(answer.status_code, tuple(headers), answer.content)


def _is_local(origin: str | None) -> bool:
    return origin is None or urlsplit(origin).hostname in _LOOPBACK
