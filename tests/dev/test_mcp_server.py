"""The sample MCP server of `authz dev --mcp`, over plain HTTP."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.dev.mcp_messages import LEGACY, MODERN
from tests.cli.command import command
from tests.support.dev_server import DevServer

META = "io.modelcontextprotocol/"


@pytest.fixture(scope="module")
def token(dev: DevServer) -> str:
    """A token of a user with `catalog:read` and `holdings:read`."""
    issuer_port = dev.address("Local issuer").rpartition(":")[2]
    words = ("token", "--issuer-port", issuer_port, "--data-dir", "data", "--permissions", "catalog:read holdings:read")
    minted = command(*words, cwd=dev.directory)
    assert minted.returncode == 0, minted.stderr
    return minted.stdout.strip()


def post(dev: DevServer, token: str | None, message: object, **headers: str) -> httpx.Response:
    """The answer to a message."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    content = message if isinstance(message, bytes) else json.dumps(message).encode()
    return httpx.post(dev.address("MCP server"), content=content, headers=sent, timeout=20)


def rpc(method: str, *, version: str | None = None, **params: Any) -> dict[str, Any]:
    """A request of JSON-RPC; of the revision that states its version in each request, if one is given."""
    meta = {"_meta": {f"{META}protocolVersion": version, f"{META}clientCapabilities": {}}} if version else {}
    return {"jsonrpc": "2.0", "id": 7, "method": method, "params": {**params, **meta}}


def called(dev: DevServer, token: str, tool: str, **arguments: object) -> httpx.Response:
    return post(dev, token, rpc("tools/call", name=tool, arguments=arguments))


def test_a_client_of_each_revision_lists_and_calls_tools(dev: DevServer, token: str) -> None:
    for version in LEGACY:
        result = post(dev, token, rpc("initialize", protocolVersion=version)).json()["result"]
        assert (result["protocolVersion"], result["capabilities"]) == (version, {"tools": {}})
        assert post(dev, token, {"jsonrpc": "2.0", "method": "notifications/initialized"}).status_code == 202
        listed = post(dev, token, rpc("tools/list"), mcp_protocol_version=version).json()["result"]["tools"]
        assert [tool["name"] for tool in listed] == ["list_teams", "list_tags", "add_tag"]
    (version,) = MODERN
    stated = {"mcp_protocol_version": version}
    found = post(dev, token, rpc("server/discover", version=version), mcp_method="server/discover", **stated)
    assert found.json()["result"]["supportedVersions"] == [*MODERN, *LEGACY]
    message = rpc("tools/call", version=version, name="list_teams", arguments={"conference": "NFC"})
    answer = post(dev, token, message, mcp_method="tools/call", mcp_name="list_teams", **stated).json()
    assert (answer["id"], answer["result"]["resultType"], answer["result"]["isError"]) == (7, "complete", False)
    assert "ARI  Arizona Cardinals, NFC West" in answer["result"]["content"][0]["text"]
    assert "Buffalo" not in answer["result"]["content"][0]["text"]


def test_each_tool_needs_its_own_permission(dev: DevServer, token: str) -> None:
    assert "broadcast: As it went on air." in called(dev, token, "list_tags").json()["result"]["content"][0]["text"]
    lacking = called(dev, token, "add_tag", name="new")
    assert lacking.status_code == 403
    metadata = f'resource_metadata="{dev.url}/.well-known/oauth-protected-resource/mcp"'
    assert 'error="insufficient_scope"' in lacking.headers["www-authenticate"]
    assert f'scope="holdings:write", {metadata}' in lacking.headers["www-authenticate"]
    stranger = post(dev, None, rpc("tools/list"))
    assert stranger.status_code == 401
    assert stranger.headers["www-authenticate"] == f'Bearer scope="catalog:read holdings:read", {metadata}'
    for bad in ("grd_oat_" + "0" * 48, "grd_live_" + "0" * 48, "x"):
        assert post(dev, bad, rpc("tools/list")).status_code == 401
    resource = httpx.get(f"{dev.url}/.well-known/oauth-protected-resource/mcp").json()
    assert resource["resource"] == dev.address("MCP server")
    assert resource["scopes_supported"] == ["catalog:read", "holdings:read", "holdings:write"]
    server = httpx.get(f"{resource['authorization_servers'][0]}/.well-known/oauth-authorization-server").json()
    assert server["registration_endpoint"] == f"{dev.url}/oauth/register"


def test_what_is_no_message_of_the_protocol_is_an_error(dev: DevServer, token: str) -> None:
    (version,) = MODERN
    stated, later, ping = {"mcp_protocol_version": version}, "2099-01-01", rpc("ping")
    for content, headers, status, code in (
        (b"{", {}, 400, -32700),
        (b"[" * 60_000, {}, 400, -32700),
        (b" " * 70_000 + b"{}", {}, 400, -32700),
        ([ping], {}, 400, -32600),
        ({**ping, "jsonrpc": "1.0"}, {}, 400, -32600),
        ({**ping, "method": 7}, {}, 400, -32600),
        ({**ping, "params": []}, {}, 400, -32600),
        ({**ping, "id": {}}, {}, 400, -32600),
        (rpc("no/such"), {}, 200, -32601),
        (rpc("initialize", version=version), stated | {"mcp_method": "initialize"}, 404, -32601),
        (rpc("tools/list", version=version), stated, 400, -32020),
        (rpc("tools/list", version=version), {"mcp_method": "tools/list"}, 400, -32020),
        (rpc("tools/list", version=later), {"mcp_protocol_version": later, "mcp_method": "tools/list"}, 400, -32022),
        (rpc("tools/list"), {"mcp_protocol_version": later}, 400, -32602),
        (rpc("tools/list"), stated | {"mcp_method": "tools/list"}, 400, -32602),
        (rpc("tools/list", _meta={f"{META}protocolVersion": version}), stated, 400, -32602),
        (rpc("tools/list", _meta={f"{META}protocolVersion": 7}), stated, 400, -32602),
        (rpc("tools/call", name="no_such"), {}, 200, -32602),
        (rpc("tools/call", name=["list_tags"]), {}, 200, -32602),
        (rpc("tools/call", name="list_tags", arguments=[1]), {}, 200, -32602),
        (rpc("tools/call", name="list_tags", arguments={"x": 1}), {}, 200, -32602),
    ):  # fmt: skip
        answer = post(dev, token, content, **headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), (content, headers)
    wrong = rpc("tools/call", version=version, name="list_tags", arguments={})
    other = stated | {"mcp_method": "tools/call", "mcp_name": "list_teams"}
    assert post(dev, token, wrong, **other).json()["error"]["code"] == -32020
    failed = called(dev, token, "list_teams", conference=["NFC"]).json()["result"]
    assert failed == {"content": [{"type": "text", "text": "The argument is not a text."}], "isError": True}


def test_pages_of_other_sites_and_other_methods_are_refused(dev: DevServer, token: str) -> None:
    for origin, status in (("https://evil.example", 403), ("null", 403), ("http://127.0.0.1.evil.example", 403)):
        assert post(dev, token, rpc("tools/list"), origin=origin).status_code == status
    for origin in ("http://127.0.0.1:6274", "http://localhost", "http://[::1]:80"):
        assert post(dev, token, rpc("tools/list"), origin=origin).status_code == 200
    for method in ("GET", "DELETE"):
        answer = httpx.request(method, dev.address("MCP server"), headers={"Authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_the_rows_are_in_a_copy_of_the_policy(dev: DevServer, tmp_path: Path) -> None:
    copy = dev.directory / "data" / "mcp-policies"
    assert "Policy        data/mcp-policies/" in dev.printed
    checked = command("policy", "check", str(copy))
    assert checked.returncode == 0, checked.stdout
    tested = command("policy", "test", str(copy), "--coverage")
    assert tested.returncode == 0, tested.stdout
    assert "mcp.csv" not in tested.stdout, "each of its rows is exercised"
    missing = command("dev", "--mcp", "--port", "0", "--issuer-port", "0", "--policy-dir", "no-such", cwd=tmp_path)
    assert missing.returncode == 1
    assert missing.stderr.startswith("authz: the policy directory `no-such` does not exist. Set AUTHZ_POLICY_DIR")
