"""The author of an administrative act, and the door that was used."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from app.audit.sanitize import clean
from app.identity.principal import Method, Principal

ActorDoor = Literal["api", "console", "cli", "files", "server"]
_MAX_PARTY = 255  # characters
_MAX_TOKEN_ID = 255  # characters; a `jti` may have more


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of an administrative act.

    `subject` is the `sub` of a user or of the owner of a key; for a command, `cli:` and the account of the operating
    system; empty for a change of the files, and for an act of
    a server itself. `method` is how the credentials were verified; None without credentials.
    `session_id` is that of a console session, `token_id` the `jti` of a JWT. `revision` is that of the policy that
    allowed the act; None if no policy decided it. `client_id` is that of an app, `impersonator` who acts as the
    subject.
    """

    subject: str
    key_id: int | None = None
    request_id: str = ""
    _: KW_ONLY
    door: ActorDoor
    method: Method | None = None
    session_id: int | None = None
    token_id: str | None = None
    revision: str | None = None
    client_id: str | None = None
    impersonator: str | None = None

    @property
    def fact(self) -> str:
        """The fact that names the actor in rows of a policy."""
        return f"user:{self.subject}" if self.key_id is None else f"key:{self.key_id}"


# Any account with write access to the policy directory can change it: the system does not say which one did.
FILES = Actor("", door="files")
SERVER = Actor("", door="server")  # what a server does at a time of day, and no person


def actor_of(principal: Principal, request_id: str, revision: str) -> Actor:
    """The caller of a request as an author, under the policy with this revision."""
    return Actor(
        principal.subject,
        principal.key_id,
        request_id,
        door="api" if principal.session_id is None else "console",
        method=principal.method,
        session_id=principal.session_id,
        token_id=None if principal.token_id is None else clean(principal.token_id, _MAX_TOKEN_ID),
        revision=revision,
        client_id=principal.client_id,
        impersonator=None if principal.impersonator is None else clean(principal.impersonator, _MAX_PARTY),
    )
