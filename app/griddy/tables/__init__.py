"""The tables of the sample API."""

from app.griddy.tables import catalog, holdings

__all__ = ["catalog", "holdings"]
