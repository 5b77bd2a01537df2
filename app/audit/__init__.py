"""What happened? Every decision as a record, kept off the path of the request that it is about."""
