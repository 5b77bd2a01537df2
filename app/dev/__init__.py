"""A local issuer and sample data: for `authz dev` and tests, never part of `authz serve`."""
