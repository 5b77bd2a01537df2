"""The door into the app: middleware, errors, and one module for each API."""
