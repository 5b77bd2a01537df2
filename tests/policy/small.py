"""Small policies over few routes, from their rows."""

from __future__ import annotations

from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import parse
from app.policy.language.model import TEXT
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable

PERMISSIONS = ("a:read", "a:write", "b:read", "c:read")
TABLE = RouteTable([Route("/x", "GET"), Route("/x", "POST"), Route("/x/{id}", "GET"), Route("/y", "GET")])


def files(*rows: str, deprecated: str = "", entities: str = "") -> dict[str, bytes]:
    """The files of a policy with these rows and entities."""
    names = "".join(
        f'["{name}"]\ntitle = "t"\ngrants = "g"\n' + ("deprecated = true\n" if name == deprecated else "")
        for name in PERMISSIONS
    )
    texts = {"model.conf": f"{TEXT}# end\n", "permissions.toml": f"{names}# end\n"}
    texts["rows.csv"] = "".join(f"{row}\n" for row in rows) + "# end\n"
    if entities:
        texts["entities/own.yaml"] = f"{entities}\n# end\n"
    return {name: text.encode() for name, text in texts.items()}


def snapshot(*rows: str, table: RouteTable = TABLE, deprecated: str = "", entities: str = "") -> Snapshot:
    """A policy with these rows, not checked against the routes."""
    return Snapshot(parse(from_bytes(files(*rows, deprecated=deprecated, entities=entities))), table)
