"""Decisions for other programs, and what every door shares: one reading of a path."""
