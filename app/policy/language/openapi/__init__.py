"""OpenAPI documents: the endpoints of another service under its servers' paths, and what is denied of them."""
