"""Texts of a small policy with a mark at a position."""

from __future__ import annotations

from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import parse
from app.policy.language.model import TEXT
from app.policy.language.source import encode, from_bytes
from app.policy.routing.routes import Route, RouteTable

MARK = "‸"
ROUTES = RouteTable(
    [
        *(Route("/teams", method) for method in ("GET", "HEAD", "POST")),
        *(Route("/teams/{team_id}", method) for method in ("GET", "HEAD", "PUT", "DELETE")),
        Route("/teams/export", "GET"),
        Route("/orgs/{org_id}/keys/{key_id}", "GET"),
    ]
)
PERMISSIONS = """\
["teams:read"]
title = "See teams"
grants = "Read all teams."

["teams:write"]
title = "Change teams"
grants = "Create, change and delete teams."

["old:read"]
title = "Old"
grants = "Nothing any more."
deprecated = true
"""
BASE = {
    "model.conf": TEXT,
    "permissions.toml": PERMISSIONS,
    "teams.csv": (
        "p, teams:read, /teams/**, GET|HEAD, allow\n"
        "p, teams:write, /teams/**, POST|PUT|DELETE, allow\n"
        "p, role:editor, /teams/export, GET, deny, 'role:editor' in subject.permissions\n"
        "p, teams:read, record, read|write, allow\n"
        "# end\n"
    ),
    "roles.csv": (
        "g, role:editor, teams:write\n"
        "g, role:admin, role:editor\n"
        "g, user:user_2abc, role:admin\n"
        "# role:editor is in a comment\n"
        "# end\n"
    ),
    "tests/teams.yaml": (
        "cases:\n"
        "  - name: role:editor in a name\n"
        "    as: auth:jwt role:editor\n"
        "    allow:\n"
        "      - PUT /teams/7: teams.csv\n"
        "    deny:\n"
        "      - GET /teams: lacks teams:read\n"
    ),
}


def marked(file: str, text: str, **base: str) -> tuple[dict[str, str], str, int, int]:
    """The base policy with this text for a file, and the file, line and column of its mark."""
    before, mark, after = text.partition(MARK)
    assert mark
    sources = {**BASE, **base, file: before + after}
    return sources, file, before.count("\n") + 1, len(before) - before.rfind("\n")


def snapshot(sources: dict[str, str] | None = None) -> Snapshot:
    """The policy of these texts, not checked against the routes."""
    return Snapshot(parse(from_bytes(encode(BASE if sources is None else sources))), ROUTES)
