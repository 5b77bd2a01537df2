"""griddy-authz: who is calling, may they, and what happened."""
