"""A change that leaves fewer publishers is a warning; one that locks out all known callers is refused."""

from __future__ import annotations

from typing import Any

import httpx

from tests.history.test_publish import OTHER, PUBLISH, READ, ROLLBACK, active, admin, body, files, history
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

BY_TOKEN = "p, policies:write, /api/v1/policies/publish, POST, allow\n"
BY_ROLE_ONLY = BY_TOKEN.replace("policies:write", "role:publisher")


def given(server: Server, rows: str, new: str = BY_TOKEN) -> dict[str, str]:
    """The policy with another row about publishing, and more `g` rows."""
    found = files(server)
    assert BY_TOKEN in found["admin.csv"]
    return {
        **found,
        "admin.csv": found["admin.csv"].replace(BY_TOKEN, new),
        "publishers.csv": f"# Who publishes.\n{rows}# end\n",
    }


def test_fewer_publishers_are_a_warning_without_acknowledgement(own_server: Server, issuer: LiveIssuer) -> None:
    with admin(own_server, issuer) as client:

        def sent(content: dict[str, str], **more: Any) -> httpx.Response:
            return client.post(PUBLISH, json=body(client, content, **more))

        first = active(client)
        wider = sent(given(own_server, "g, user:ann, policies:write\n"), acknowledge_widening=True)
        assert (wider.status_code, wider.json()["widens"], wider.json()["fewer_publishers"]) == (200, True, False)
        assert wider.json()["warnings"] == []

        # Ann is replaced: one user gains it and one loses it.
        swapped = given(own_server, "g, user:bob, policies:write\n")
        dry = sent(swapped, dry_run=True).json()
        assert (dry["widens"], dry["fewer_publishers"]) == (True, True)
        said = (
            "Fewer callers could publish a policy: POST /api/v1/policies/publish  for holders of user:ann, unless "
            "`has(subject.act.sub)` is met or unknown or they hold policies:write."
        )
        assert dry["warnings"] == [said]
        for acknowledged in ({}, {"acknowledge_fewer_publishers": True}):
            detail = sent(swapped, **acknowledged).json()["detail"]
            assert "acknowledge_widening" in detail
            assert "acknowledge_fewer_publishers" not in detail
        done = sent(swapped, acknowledge_widening=True)
        assert (done.status_code, done.json()["fewer_publishers"], done.json()["warnings"]) == (200, True, [said])

        # The same holds for a rollback.
        back = client.post(ROLLBACK, json={"revision": first, "parent": active(client)})
        assert (back.status_code, back.json()["fewer_publishers"]) == (200, True)
        assert "for holders of user:bob" in back.json()["warnings"][0]
        assert history(client)[0]["kind"] == "rollback"

        # A lock-out is acknowledged apart from wider access and from cases that fail.
        broken = given(own_server, "g, user:ghost, role:publisher\n", new=BY_ROLE_ONLY)
        broken["catalog.csv"] = broken["catalog.csv"].replace(READ, OTHER)
        for acknowledged in (
            {},
            {"acknowledge_widening": True},
            {"acknowledge_fewer_publishers": True},
            {"acknowledge_widening": True, "acknowledge_fewer_publishers": True},
        ):
            answer = sent(broken, accept_failing_cases="", **acknowledged)
            assert answer.status_code == 409, answer.text
            for name in ("acknowledge_widening", "acknowledge_fewer_publishers"):
                assert (f"`{name}`" in answer.json()["detail"]) is (name not in acknowledged)
            assert "accept_failing_cases" in answer.json()["detail"]
            assert answer.json()["cases"]["failed"] > 0
    with own_server.client(issuer.token(permissions="metrics:read")) as scraper:
        text = scraper.get("/metrics").text
    assert '{kind="publish",outcome="publishers"} 1.0' in text


def test_a_lock_out_considers_known_callers_only(own_server: Server, issuer: LiveIssuer) -> None:
    meant = {"acknowledge_widening": True}
    with admin(own_server, issuer) as client:

        def passes(rows: str) -> bool:
            """Whether the policy needs no acknowledgement of a lock-out, so that only a case refuses it."""
            content = given(own_server, rows, new=BY_ROLE_ONLY)
            answer = client.post(PUBLISH, json={**body(client, content, **meant), "accept_failing_cases": ""})
            assert answer.status_code == 409, answer.text
            return "acknowledge_fewer_publishers" not in answer.json()["detail"]

        def detail(rows: str) -> str:
            answer = client.post(PUBLISH, json=body(client, given(own_server, rows, new=BY_ROLE_ONLY), **meant))
            assert answer.status_code == 409, answer.text
            said: str = answer.json()["detail"]
            assert "acknowledge_fewer_publishers" in said
            return said

        ghost = "g, user:ghost, role:publisher\n"
        lockout = "No known caller could publish a policy: only "
        assert detail(ghost).startswith(f"{lockout}user:ghost, never seen in the decision log: ")
        assert detail(f"{ghost}g, key:99, role:publisher\n").startswith(f"{lockout}key:99, user:ghost, ")
        # The author is known, and so is a caller with a verified token, refused or not.
        assert passes(f"{ghost}g, user:user_admin, role:publisher\n")
        assert not passes(ghost)
        with own_server.client(issuer.token(sub="ghost", permissions="")) as other:
            assert other.get("/api/v1/teams").status_code == 403
        assert eventually(lambda: passes(ghost))

        denied = f"{BY_TOKEN}p, anyone, /api/v1/policies/publish, POST, deny\n"
        closed = {**files(own_server), "admin.csv": files(own_server)["admin.csv"].replace(BY_TOKEN, denied)}
        answer = client.post(PUBLISH, json=body(client, closed))
        assert answer.json()["detail"].startswith("No caller could publish a policy: ")

        # Edits of the directory need no acknowledgement.
        before = len(history(client))
        shipped = (own_server.policy_dir / "admin.csv").read_text()
        (own_server.policy_dir / "admin.csv").write_text(closed["admin.csv"])
        assert eventually(lambda: len(history(client)) == before + 1)
        assert client.post(PUBLISH, json=body(client, files(own_server))).status_code == 403
        (own_server.policy_dir / "admin.csv").write_text(shipped)
        assert eventually(lambda: len(history(client)) == before + 2)
        assert client.post(PUBLISH, json=body(client, files(own_server))).status_code == 200
