"""Requests of gateways and proxies: authentication, original request, client address, and the check of raw paths."""
