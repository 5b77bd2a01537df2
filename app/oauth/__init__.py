"""Third-party apps: the registry of clients, what they may ask for, and what users consented to."""
