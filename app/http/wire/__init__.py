"""What requests and answers have in common: problems, cursors, ids, JSON bodies."""
