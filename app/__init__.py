"""griddy-authz: who is calling, may they, and what happened."""

__version__ = "0.2.0"
