"""A small MCP server behind a gateway, to try MCP clients with: JSON-RPC over streamable HTTP, without sessions.

It speaks revision 2026-07-28 of the Model Context Protocol, and the earlier ones with `initialize`. It never sees a
token: the gateway decides about each request, by a path for each tool.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from app import __version__
from app.db.engine import open_engine
from app.db.session import sessions_of
from app.dev.gateway import LocalGateway
from app.dev.mcp_messages import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    LEGACY,
    META,
    MODERN,
    UNKNOWN_METHOD,
    RpcError,
    RpcRequest,
    read_request,
)
from app.dev.mcp_tools import TOOLS, ToolError
from app.dev.wire import Reply, json_reply, read, send_reply

PATH = "/mcp"
SERVICE = "mcp"
POLICY = Path(__file__).parent / "mcp_policy"
_INFO = {"name": "griddy-sample", "title": "Griddy sample", "version": __version__}
_CAPABILITIES: Mapping[str, object] = {"tools": {}}
_CACHED: Mapping[str, object] = {"ttlMs": 60_000, "cacheScope": "public"}
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TOOLS = {tool.name: tool for tool in TOOLS}
_PASSED_ON = ("content-type", "www-authenticate", "retry-after", "cache-control")


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
        if not _is_local(headers.get("origin")):
            return _failed(RpcError(INVALID_REQUEST, "The Origin is not of this machine.", status=403))
        if scope["method"] != "POST":
            return json_reply(405, {"detail": "Send a POST: this server opens no stream."}, ("Allow", "POST"))
        try:
            request: RpcRequest | RpcError = read_request(body, headers)
        except RpcError as error:
            request = error
        client = scope.get("client")
        allowed = await self._gateway.ask("POST", _path_of(request), scope["headers"], client[0] if client else None)
        if allowed.status_code != 200:  # with its challenge: the client asks its user for the scope that is missing
            return _passed_on(allowed)
        if isinstance(request, RpcError):
            return _failed(request)
        try:
            return await self._result(request, unquote(allowed.headers["x-auth-subject"]))
        except RpcError as error:
            error.request_id = request.id
            return _failed(error)

    async def _result(self, request: RpcRequest, subject: str) -> Reply:
        if request.id is None:
            return Reply(202, (), b"")
        result = await self._call(request, subject) if request.method == "tools/call" else _described(request)
        if request.is_modern:
            result = {**result, "resultType": "complete", "_meta": {f"{META}serverInfo": _INFO}}
        return json_reply(200, {"jsonrpc": "2.0", "id": request.id, "result": result})

    async def _call(self, request: RpcRequest, subject: str) -> Mapping[str, object]:
        tool = _TOOLS.get(str(request.params.get("name")))
        arguments = request.params.get("arguments") or {}
        if tool is None or not isinstance(arguments, dict):
            raise RpcError(INVALID_PARAMS, "There is no such tool, or its arguments are not an object.")
        if unknown := arguments.keys() - tool.properties.keys():
            raise RpcError(INVALID_PARAMS, f"The tool has no argument {', '.join(sorted(unknown))}.")
        async with self._sessions() as session:
            try:
                text, is_error = await tool.run(session, subject, arguments), False
            except ToolError as error:
                text, is_error = str(error), True
        return {"content": [{"type": "text", "text": text}], "isError": is_error}


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


def _path_of(request: RpcRequest | RpcError) -> str:
    """The path by which rows decide about a request: that of the tool that it calls, or of the server."""
    name = request.params.get("name") if isinstance(request, RpcRequest) and request.method == "tools/call" else None
    return f"{PATH}/tools/{name}" if isinstance(name, str) and name in _TOOLS else PATH


def _described(request: RpcRequest) -> Mapping[str, object]:
    match request.method:
        case "server/discover" if request.is_modern:
            return {"supportedVersions": [*MODERN, *LEGACY], "capabilities": _CAPABILITIES, **_CACHED}
        case "initialize" if not request.is_modern:
            requested = request.params.get("protocolVersion")
            version = requested if requested in LEGACY else LEGACY[0]
            return {"protocolVersion": version, "capabilities": _CAPABILITIES, "serverInfo": _INFO}
        case "ping" if not request.is_modern:
            return {}
        case "tools/list":
            return {"tools": [tool.describe() for tool in TOOLS], **(_CACHED if request.is_modern else {})}
    raise RpcError(UNKNOWN_METHOD, "There is no such method.", status=404 if request.is_modern else 200)


def _failed(error: RpcError) -> Reply:
    return json_reply(error.status, {"jsonrpc": "2.0", "id": error.request_id, "error": error.content})


def _passed_on(answer: httpx.Response) -> Reply:
    """The refusal of the gateway, as the client gets it."""
    headers = ((name, answer.headers[name]) for name in _PASSED_ON if name in answer.headers)
    return Reply(answer.status_code, tuple(headers), answer.content)


def _is_local(origin: str | None) -> bool:
    """Whether no page of another site sent a request, whose name was made to resolve to this machine."""
    return origin is None or urlsplit(origin).hostname in _LOOPBACK
