"""The tables of griddy-authz itself. Importing this package completes their metadata."""

from app.db.tables import (
    chain,
    console,
    decision_drops,
    decision_volumes,
    decisions,
    history,
    keys,
    oauth,
    oauth_clients,
    replicas,
    siem,
)
from app.db.tables.base import Body, metadata, table_of

__all__ = [
    "Body",
    "chain",
    "console",
    "decision_drops",
    "decision_volumes",
    "decisions",
    "history",
    "keys",
    "metadata",
    "oauth",
    "oauth_clients",
    "replicas",
    "siem",
    "table_of",
]
