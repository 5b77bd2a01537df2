"""Applications that tests serve: the real one with routes added."""
