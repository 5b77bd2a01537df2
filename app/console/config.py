"""The configuration of the console; without a client id in the settings there is no console."""

from __future__ import annotations

from dataclasses import dataclass

from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Console:
    """`url` is the scheme and host that browsers use; `session_seconds` the lifetime of a session."""

    url: str
    issuer: str
    client_id: str
    client_secret: str | None
    session_seconds: int
    clock_skew_seconds: int

    @property
    def secure(self) -> bool:
        """Whether browsers use TLS; plain http is for a loopback address only."""
        return self.url.startswith("https://")


def console_of(settings: Settings) -> Console | None:
    """The console that the settings configure, if any."""
    url = settings.console_url or settings.public_url
    if settings.console_client_id is None or url is None or settings.issuer is None:
        return None
    secret = settings.console_client_secret
    return Console(
        url=url,
        issuer=settings.issuer,
        client_id=settings.console_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        session_seconds=settings.console_session_seconds,
        clock_skew_seconds=settings.clock_skew_seconds,
    )


def is_page(path: str) -> bool:
    """Whether a path or a template belongs to the console."""
    return path == "/console" or path.startswith("/console/")
