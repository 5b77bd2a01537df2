"""A local issuer for `authz dev` and tests, never part of `authz serve`."""
