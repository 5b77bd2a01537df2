"""The official Python SDK of MCP, as a client with a document and as one that registers itself.

Speaks with the test as person.mjs does: it asks for visits of a browser, and reports at the end.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from mcp_types import TextContent
from pydantic import AnyUrl

_ended: dict[str, asyncio.Future[str]] = {}


class Memory:
    """What a client keeps between connections."""

    def __init__(self) -> None:
        self.issued: list[OAuthToken] = []
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.issued[-1] if self.issued else None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.issued.append(tokens)

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        self.client = client_info


class Flow:
    """A client, with the browser of the person."""

    def __init__(self, name: str, given: dict[str, str], document: str | None) -> None:
        self._name = name
        self._given = given
        self.memory = Memory()
        self.asked: list[dict[str, list[str]]] = []
        self._provider = OAuthClientProvider(
            given["mcp"],
            OAuthClientMetadata(client_name="Python SDK", redirect_uris=[AnyUrl(given["redirect"])]),
            self.memory,
            self._open,
            self._wait,
            client_metadata_url=document,
        )

    async def _open(self, address: str) -> None:
        self.asked.append(parse_qs(urlsplit(address).query))
        _ended[self._name] = asyncio.get_running_loop().create_future()
        print(json.dumps({"visit": address, "flow": self._name}), flush=True)

    async def _wait(self) -> AuthorizationCodeResult:
        answer = parse_qs(urlsplit(await _ended[self._name]).query)
        return AuthorizationCodeResult(code=answer["code"][0], state=answer["state"][0], iss=answer["iss"][0])

    async def call(self, tool: str, **arguments: str) -> str:
        """The text of a tool over a new connection."""
        async with (
            httpx2.AsyncClient(auth=self._provider, timeout=60) as http,
            Client(streamable_http_client(self._given["mcp"], http_client=http)) as client,
        ):
            result = await client.call_tool(tool, arguments)
            (content,) = result.content
            assert isinstance(content, TextContent), content
            return content.text

    async def run(self) -> dict[str, Any]:
        """The whole flow: connect, refresh, step up, revoke."""
        read = await self.call("list_teams", conference="AFC")
        first = self.memory.issued[-1]
        self._provider.context.token_expiry_time = 1.0
        again = await self.call("list_tags")
        second = self.memory.issued[-1]
        written = await self.call("add_tag", name=f"from the Python SDK, {self._name}")
        third, client = self.memory.issued[-1], self.memory.client
        assert client is not None
        assert client.issuer is not None
        form = {"token": str(third.refresh_token), "client_id": str(client.client_id)}
        form |= {"client_secret": client.client_secret} if client.client_secret else {}
        async with httpx2.AsyncClient() as http:
            (await http.post(f"{client.issuer}/oauth/revoke", data=form)).raise_for_status()
            headers = {"Authorization": f"Bearer {third.access_token}"}
            revoked = await http.post(self._given["mcp"], headers=headers)
        return {
            "read": read,
            "again": again,
            "written": written,
            "revoked": {"status": revoked.status_code, "description": revoked.json()["detail"]},
            "rotated": [[tokens.access_token, tokens.refresh_token] for tokens in (first, second)],
            "scopes": [asked["scope"][0] for asked in self.asked],
            "resources": [asked["resource"][0] for asked in self.asked],
            "client_id": client.client_id,
        }


async def main() -> None:
    # Not `sys.stdin.readline()` when it is readable: of two lines that arrive together it would keep the second one.
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    given = json.loads(await lines.readline())

    async def follow() -> None:
        async for line in lines:
            visit = json.loads(line)
            _ended[visit["flow"]].set_result(visit["redirected"])

    following = asyncio.create_task(follow())
    document, registered = Flow("document", given, given["document"]), Flow("registered", given, None)
    results = await asyncio.gather(document.run(), registered.run())
    following.cancel()
    print(json.dumps({"report": dict(zip(("document", "registered"), results, strict=True))}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
