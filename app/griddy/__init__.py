"""The sample API: a catalog of American football and the holdings of this deployment."""
