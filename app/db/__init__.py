"""Tables, sessions and migrations: the only part that knows SQLModel's engine."""
