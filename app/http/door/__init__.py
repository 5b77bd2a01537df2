"""The enforcement point (PEP): every request passes here before a handler sees it."""
