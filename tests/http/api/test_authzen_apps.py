"""Apps as subjects: the database is asked about those that are registered here, and about no other."""

from __future__ import annotations

from pathlib import Path

import pytest
from litestar import Litestar

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.http.api.authzen.evaluate import stored_subjects
from app.http.api.authzen.wire import RequestedEntity
from app.identity.errors import CannotVerify
from app.identity.issuer import TrustedIssuer
from app.identity.issuers import IssuerRegistry
from app.identity.jwks import KeySet
from app.policy.engine.resolved_subject import NO_SUBJECTS
from app.services import services_of
from app.settings import Settings
from tests.support.services import state_of

pytestmark = pytest.mark.anyio
USER = {"user": "ann", "scope": "a:read"}


@pytest.mark.parametrize(
    ("kind", "identity", "properties", "is_looked_up"),
    [
        ("app", "apps/web", USER, False),
        ("app", "apps/a/b", USER, False),
        ("app", "people/web", USER, True),  # all tokens of this issuer are those of users
        ("app", "web", USER, True),
        ("app", "web/apps", USER, True),
        ("app", "/apps", USER, True),
        ("app", "https://apps/web", USER, True),
        ("app", "web", {"scope": "a:read"}, False),
        ("user", "web", USER, False),
        ("key", "7", {}, True),
        ("key", "x", USER, False),
    ],
)
async def test_only_apps_that_are_registered_here_are_looked_up(
    tmp_path: Path, kind: str, identity: str, properties: dict[str, object], *, is_looked_up: bool
) -> None:
    issuers = IssuerRegistry(lambda issuer: KeySet(issuer.jwks_url), lambda _: None)
    issuers.replace(
        TrustedIssuer(name, f"https://{name}.example", "http://127.0.0.1:9/", is_delegating=is_delegating)
        for name, is_delegating in (("apps", True), ("unsaid", None), ("people", False))
    )
    engine = open_engine(f"sqlite:///{tmp_path / 'none.db'}")  # without tables
    settings = Settings.model_construct(key_environments=("live",))
    app = Litestar(state=state_of(issuers=issuers, sessions=sessions_of(engine), settings=settings))
    subjects = [RequestedEntity(kind, properties, identity)]
    if is_looked_up:
        with pytest.raises(CannotVerify):
            await stored_subjects(services_of(app), subjects)
    else:
        found = await stored_subjects(services_of(app), subjects)
        assert found == NO_SUBJECTS or found.authorization_servers == {"apps", "unsaid"}
        assert not found.records and not found.consents
    await engine.dispose()
