"""The route table: which endpoints exist, and which of them a path or a resource pattern matches."""
