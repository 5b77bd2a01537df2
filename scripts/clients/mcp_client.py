"""Call a tool of an MCP server behind a deployment, with the official Python SDK, which is the package `mcp`.

    python mcp_client.py http://127.0.0.1:8000/mcp list_teams conference=AFC

The first call opens a browser, in which a user allows this client. What it gets is kept in memory: a program that runs
again stores the tokens where only its user can read them.
"""

from __future__ import annotations

import asyncio
import sys
import webbrowser
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

SECONDS = 300


class MemoryStorage:
    """The tokens and the registration of this client."""

    def __init__(self) -> None:
        self._tokens: OAuthToken | None = None
        self._client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self._tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self._tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self._client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self._client = client_info


class Callback:
    """The address of this machine to which the browser is sent with the answer of the user."""

    def __init__(self) -> None:
        callback = self
        self.answer: dict[str, str] = {}

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                found = url.path == "/callback"
                if found:
                    callback.answer = {name: values[0] for name, values in parse_qs(url.query).items()}
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write(b"You can close this window.")

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Write no code to the terminal."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._server.timeout = SECONDS
        self.address = f"http://127.0.0.1:{self._server.server_port}/callback"

    async def open(self, address: str) -> None:
        """Send the user to the consent page."""
        print(f"Allow this client at {address}", flush=True)
        webbrowser.open(address)

    async def wait(self) -> AuthorizationCodeResult:
        """The answer of the user. Raises PermissionError if it is no code."""
        self.answer = {}
        while not self.answer:  # a browser may ask for an icon, too
            await asyncio.to_thread(self._server.handle_request)
        if "code" not in self.answer:
            raise PermissionError(self.answer.get("error_description", "no access"))
        return AuthorizationCodeResult(
            code=self.answer["code"], state=self.answer.get("state"), iss=self.answer.get("iss")
        )


async def call(address: str, tool: str, arguments: Mapping[str, str]) -> str:
    """The text that a tool answers."""
    callback = Callback()
    metadata = OAuthClientMetadata(
        client_name="Sample client", redirect_uris=[AnyUrl(callback.address)], token_endpoint_auth_method="none"
    )
    auth = OAuthClientProvider(address, metadata, MemoryStorage(), callback.open, callback.wait)
    async with (
        httpx2.AsyncClient(auth=auth, timeout=60) as http,
        Client(streamable_http_client(address, http_client=http)) as client,
    ):
        result = await client.call_tool(tool, dict(arguments))
        return "\n".join(content.text for content in result.content if content.type == "text")


if __name__ == "__main__":
    server, name, *given = sys.argv[1:]
    print(asyncio.run(call(server, name, dict(each.split("=", 1) for each in given))))
