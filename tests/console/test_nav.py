"""The navigation of the console."""

from __future__ import annotations

from pathlib import Path

from app.console.nav import open_to
from app.identity.principal import user_principal
from app.policy.engine.live import LivePolicy
from app.policy.routing.routes import Route, RouteTable
from tests.policy.shipped import write
from tests.policy.small import files

TABLE = RouteTable([Route("/console/keys", "GET"), Route("/console/decisions", "GET"), Route("/healthz", "GET")])
ROWS = """p, auth:jwt, /console/keys, GET, allow
p, a:read, /console/decisions, GET, allow
p, anyone, /healthz, GET, allow"""


def test_a_user_sees_the_pages_that_the_policy_opens_and_none_while_it_is_suspended(tmp_path: Path) -> None:
    live = LivePolicy(write(tmp_path / "policies", files(ROWS)), TABLE)
    user, auditor = user_principal("user_1", [], {}), user_principal("user_2", ["a:read"], {})

    def labels() -> list[list[str]]:
        return [
            [item.label for group in open_to(principal, live.active) for item in group.items]
            for principal in (user, auditor)
        ]

    assert labels() == [["My keys"], ["My keys", "Decisions"]]
    live.suspend()
    assert labels() == [[], []], "a page that is rendered at this moment still answers"
    live.resume()
    assert labels() == [["My keys"], ["My keys", "Decisions"]]
