"""The compiled policy: an immutable snapshot that decides, and the live one of a process."""
