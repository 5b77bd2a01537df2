"""The compiled policy: immutable snapshots that decide, and the live policy of a process."""
