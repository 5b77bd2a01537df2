"""The tables. Importing this package makes the metadata whole."""

from app.db.tables import catalog, console, decisions, history, holdings, keys, replicas
from app.db.tables.base import Body, metadata, table_of

__all__ = ["Body", "catalog", "console", "decisions", "history", "holdings", "keys", "metadata", "replicas", "table_of"]
