"""The language of conditions: their variables, their syntax, and their type checker."""
