"""The sample MCP server of `authz dev --mcp`: a policy with its rows, and the server in front of the application."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path

from litestar.types import ASGIApp
from pydantic import SecretStr

from app.cli.failure import fail
from app.cli.policy.directory import directory_fault
from app.settings import Settings

_COPY = "mcp-policies"


def copy_with_mcp_rows(policy_dir: Path, data_dir: Path) -> Path:
    """Copy a policy directory and add the rows of the MCP server; return the copy.

    They let apps ask for more, so the policy itself stays as it is. A copy of an earlier start is replaced.
    """
    from app.dev import mcp_server

    if fault := directory_fault(policy_dir):
        fail(f"{fault}. Set AUTHZ_POLICY_DIR, or give --policy-dir.")
    copy = data_dir / _COPY
    shutil.rmtree(copy, ignore_errors=True)
    # Names with a dot are notes of a server about its own directory. The cases about apps say that they may ask for
    # less.
    shutil.copytree(policy_dir, copy, ignore=shutil.ignore_patterns(".*", "apps.yaml"))
    shutil.copytree(mcp_server.POLICY, copy, dirs_exist_ok=True)
    return copy


def with_gateway_secret(settings: Settings) -> tuple[Settings, str]:
    """The settings with one more secret of gateways, for this process alone."""
    secret = secrets.token_urlsafe(32)
    return settings.model_copy(update={"gateway_secrets": (*settings.gateway_secrets, SecretStr(secret))}), secret


def serve_mcp(app: ASGIApp, secret: str, database_url: str) -> ASGIApp:
    """The application with the MCP server, which asks it about every request."""
    from app.dev import mcp_server
    from app.dev.gateway import LocalGateway

    gateway = LocalGateway(app, secret, mcp_server.SERVICE)
    return mcp_server.with_mcp(app, mcp_server.McpServer(gateway, database_url))
