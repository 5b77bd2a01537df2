"""`authz serve` and `authz dev`: processes, sockets and limits of the two servers."""
