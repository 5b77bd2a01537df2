"""API keys: their status, issue, rotation, revocation, queries and last use."""
