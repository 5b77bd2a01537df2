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


def in_both_sections(path: str = "") -> list[str]:
    """The paths of a page that both sections have."""
    return [f"{OWN}{path}", f"{ORGANIZATION}{path}"]


def section_of(request: AnyRequest) -> KeySection:
    """The section of the page: the user's own keys, or those of the organization of the session.

    Raises Problem 403 without an organization. A form of a session in another organization has another CSRF token, so
    it is refused.
    """
    # The template that the policy decided about, not the path as it was spelled.
    if not request.scope["path_template"].startswith(ORGANIZATION):
        return KeySection(OWN, personal(request.user))
    active = request.user.organization
    if active is None:
        raise Problem(403, NO_ORGANIZATION)
    return KeySection(ORGANIZATION, organization_of(request.user, active.id), active.slug or active.id)
