"""A change that leaves fewer callers who can publish is refused until that is acknowledged; files need nobody."""

from __future__ import annotations

from typing import Any

import httpx

from tests.history.test_publish import OTHER, PUBLISH, READ, ROLLBACK, active, admin, body, files, history
from tests.issuer import LiveIssuer
from tests.server import Server, eventually

BY_TOKEN = "p, policies:write, /api/v1/policies/publish, POST, allow\n"
NOBODY_BUT = BY_TOKEN.replace("policies:write", "role:publisher")


def given(server: Server, rows: str, new: str = BY_TOKEN) -> dict[str, str]:
    """The policy with another row about publishing, and more `g` rows."""
    found = files(server)
    assert BY_TOKEN in found["admin.csv"]
    return {
        **found,
        "admin.csv": found["admin.csv"].replace(BY_TOKEN, new),
        "publishers.csv": f"# Who publishes.\n{rows}# end\n",
    }


def test_fewer_publishers_are_acknowledged_apart_from_wider_access(own_server: Server, issuer: LiveIssuer) -> None:
    with admin(own_server, issuer) as client:

        def sent(content: dict[str, str], **more: Any) -> httpx.Response:
            return client.post(PUBLISH, json=body(client, content, **more))

        first = active(client)
        wider = sent(given(own_server, "g, user:ann, policies:write\n"), acknowledge_widening=True)
        assert (wider.status_code, wider.json()["widens"], wider.json()["fewer_publishers"]) == (200, True, False)

        # Ann is replaced: one gains it and one loses it, and neither acknowledgement is the other.
        swapped = given(own_server, "g, user:bob, policies:write\n")
        dry = sent(swapped, dry_run=True).json()
        assert (dry["widens"], dry["fewer_publishers"]) == (True, True)
        for acknowledged in ({}, {"acknowledge_widening": True}, {"acknowledge_fewer_publishers": True}):
            answer = sent(swapped, **acknowledged)
            assert answer.status_code == 409, answer.text
            detail = answer.json()["detail"]
            assert ("acknowledge_widening" in detail) is ("acknowledge_widening" not in acknowledged)
            assert ("send `acknowledge_fewer_publishers`" in detail) is (
                "acknowledge_fewer_publishers" not in acknowledged
            )
            assert answer.json()["access"]
        assert (
            "ewer callers could publish a policy: POST /api/v1/policies/publish  for holders of user:ann"
            in (sent(swapped, acknowledge_widening=True).json()["detail"])
        )
        both = sent(swapped, acknowledge_widening=True, acknowledge_fewer_publishers=True)
        assert (both.status_code, both.json()["fewer_publishers"]) == (200, True)

        # So is a rollback, and failing cases are told with it.
        back = {"revision": first, "parent": active(client)}
        refused = client.post(ROLLBACK, json=back)
        assert (refused.status_code, active(client)) == (409, back["parent"])
        assert "for holders of user:bob" in refused.json()["detail"]
        assert client.post(ROLLBACK, json={**back, "acknowledge_fewer_publishers": True}).status_code == 200
        assert history(client)[0]["kind"] == "rollback"

        broken = given(own_server, "p, anyone, /api/v1/policies/publish, POST, deny, \"request.path == '/'\"\n")
        broken["catalog.csv"] = broken["catalog.csv"].replace(READ, OTHER)
        answer = sent(broken, acknowledge_widening=True, accept_failing_cases="").json()
        assert "acknowledge_fewer_publishers" in answer["detail"]
        assert "accept_failing_cases" in answer["detail"]
        assert answer["cases"]["failed"] > 0
    with own_server.client(issuer.token(permissions="metrics:read")) as scraper:
        text = scraper.get("/metrics").text
    assert '{kind="publish",outcome="publishers"} 3.0' in text
    assert '{kind="rollback",outcome="publishers"} 1.0' in text


def test_a_lock_out_counts_callers_that_were_seen_alone(own_server: Server, issuer: LiveIssuer) -> None:
    meant = {"acknowledge_widening": True}
    with admin(own_server, issuer) as client:

        def detail(rows: str) -> str:
            answer = client.post(PUBLISH, json=body(client, given(own_server, rows, new=NOBODY_BUT), **meant))
            assert answer.status_code == 409, answer.text
            said: str = answer.json()["detail"]
            assert "acknowledge_fewer_publishers" in said
            return said

        ghost = "g, user:ghost, role:publisher\n"
        lockout = "No caller that was ever seen here could publish a policy any more: only "
        assert detail(ghost).startswith(f"{lockout}user:ghost, which the decision log does not know: ")
        assert detail(f"{ghost}g, key:99, role:publisher\n").startswith(f"{lockout}key:99, user:ghost, ")
        # The author is known, and so is a caller with a verified token, refused or not.
        assert detail(f"{ghost}g, user:user_admin, role:publisher\n").startswith("Fewer callers could publish")
        with own_server.client(issuer.token(sub="ghost", permissions="")) as other:
            assert other.get("/api/v1/teams").status_code == 403
        assert eventually(lambda: detail(ghost).startswith("Fewer callers could publish"))

        denied = f"{BY_TOKEN}p, anyone, /api/v1/policies/publish, POST, deny\n"
        closed = {**files(own_server), "admin.csv": files(own_server)["admin.csv"].replace(BY_TOKEN, denied)}
        answer = client.post(PUBLISH, json=body(client, closed))
        assert answer.json()["detail"].startswith("No caller could publish a policy any more: ")

        # By the directory it is done without a word, and undone too.
        before = len(history(client))
        shipped = (own_server.policy_dir / "admin.csv").read_text()
        (own_server.policy_dir / "admin.csv").write_text(closed["admin.csv"])
        assert eventually(lambda: len(history(client)) == before + 1)
        assert client.post(PUBLISH, json=body(client, files(own_server))).status_code == 403
        (own_server.policy_dir / "admin.csv").write_text(shipped)
        assert eventually(lambda: len(history(client)) == before + 2)
        assert client.post(PUBLISH, json=body(client, files(own_server))).status_code == 200
