"""The text of a policy: files, rows, conditions, permissions, roles, entities and upstreams, parsed strictly."""
