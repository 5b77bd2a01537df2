"""The console: pages for people, ruled by the same policy as the API."""
