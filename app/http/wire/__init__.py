"""Parts of requests and responses that APIs share: problems, cursors, ids, JSON bodies."""
