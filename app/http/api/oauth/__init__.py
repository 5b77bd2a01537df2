"""The APIs of third-party apps."""
