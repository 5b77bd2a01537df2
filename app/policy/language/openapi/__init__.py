"""OpenAPI documents: the endpoints of another service, each where its servers put it, and what is denied of them."""
