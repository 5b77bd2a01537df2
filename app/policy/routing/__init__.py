"""Which endpoints exist, and which of them a path or a resource pattern names."""
