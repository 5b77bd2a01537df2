"""Authentication: from the Authorization header of a request to its principal."""
