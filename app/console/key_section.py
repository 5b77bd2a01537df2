"""A section of pages about the keys of one owner: the user, or the organization that the user is signed in to."""

from __future__ import annotations

from dataclasses import dataclass

from app.http.wire.problems import Problem
from app.keys.owner import KeyOwner, organization_of, personal
from app.services import AnyRequest

OWN = "/console/keys"
ORGANIZATION = "/console/org-keys"
NO_ORGANIZATION = (
    "You are not signed in to an organization. Choose one where you sign in, then sign in to this console again."
)


@dataclass(frozen=True, slots=True)
class KeySection:
    """The pages below `path`, about the keys of `owner`. `organization` is its name, empty for the user's own keys."""

    path: str
    owner: KeyOwner
    organization: str = ""

    @property
    def title(self) -> str:
        """The heading of the section."""
        return f"Keys of {self.organization}" if self.organization else "My keys"


def own_section(request: AnyRequest) -> KeySection:
    """The user's own keys."""
    return KeySection(OWN, personal(request.user))


def organization_section(request: AnyRequest) -> KeySection:
    """The keys of the organization of the session. Raises Problem 403 without one.

    A form of a session in another organization has another CSRF token, so it is refused.
    """
    active = request.user.organization
    if active is None:
        raise Problem(403, NO_ORGANIZATION)
    return KeySection(ORGANIZATION, organization_of(request.user, active.id), active.slug or active.id)
