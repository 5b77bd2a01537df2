"""The tables of the sample API. Importing this package completes the metadata of all tables."""

from app.db.tables import metadata
from app.griddy.tables import catalog, holdings

__all__ = ["catalog", "holdings", "metadata"]
