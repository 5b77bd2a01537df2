"""Failing and removed cases prevent a change of the policy without a reason; those of edited files are reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.history.test_publish import HISTORY, OTHER, PUBLISH, READ, ROLLBACK, active, admin, audit, files, narrower
from tests.policy.shipped import case_count
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

PASSING = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"


def sent(parent: str, content: dict[str, str], **more: Any) -> dict[str, Any]:
    return {"files": content, "parent": parent, "message": "Because.", **more}


def test_a_failing_or_removed_case_refuses_until_a_reason_is_given(own_server: Server, issuer: LiveIssuer) -> None:
    with admin(own_server, issuer) as client:
        first, shipped = active(client), files(own_server)
        failing = narrower(own_server)
        less = {name: text for name, text in failing.items() if name != "tests/tokens.yaml"}
        for reason in ({}, {"accept_failing_cases": ""}, {"accept_failing_cases": " \n "}):
            refused = client.post(PUBLISH, json=sent(first, less, **reason))
            assert refused.status_code == 409, refused.text
            told = refused.json()
            assert "accept_failing_cases" in told["detail"]
            cases = told["cases"]
            assert (cases["run"], cases["failed"] > 0, cases["removed"]) == (case_count() - 17, True, 17)
            failure = cases["failures"][0]
            assert (failure["file"], failure["line"], failure["column"]) == ("tests/catalog.yaml", 6, None)
            assert "expected allow, got deny" in cases["failures"][0]["problem"]
            assert cases["missing"][0]["file"] == "tests/tokens.yaml"
        only_less = {name: text for name, text in shipped.items() if name != "tests/tokens.yaml"}
        refused = client.post(PUBLISH, json=sent(first, only_less))
        assert (refused.status_code, refused.json()["detail"].partition(":")[0]) == (409, "17 cases were removed")
        tried = client.post(PUBLISH, json=sent(first, less, dry_run=True)).json()
        assert (tried["cases"]["failed"], tried["cases"]["removed"]) == (cases["failed"], 17)
        assert active(client) == first

        done = client.post(PUBLISH, json=sent(first, less, accept_failing_cases="Tests follow."))
        assert done.status_code == 200, done.text
        second = done.json()["revision"]
        accepted = {"author": "user_admin", "reason": "Tests follow."}
        newest, oldest = client.get(HISTORY).json()["results"]
        assert newest["cases"] == {
            "run": case_count() - 17,
            "failed": cases["failed"],
            "removed": 17,
            "accepted": accepted,
        }
        assert oldest["cases"] is None
        assert eventually(lambda: client.get("/readyz").json()["checks"]["policy"]["failing_cases"] == cases["failed"])

        # The rollback adds cases and fails none; rolling forward again removes and fails some.
        back = {"revision": first, "parent": second, "acknowledge_widening": True}
        assert client.post(ROLLBACK, json=back).status_code == 200
        forth = {"revision": second, "parent": first}
        refused = client.post(ROLLBACK, json=forth)
        assert (refused.status_code, refused.json()["cases"]["removed"]) == (409, 17)
        assert active(client) == first
        assert client.post(ROLLBACK, json={**forth, "accept_failing_cases": "An emergency."}).status_code == 200
        assert client.get(f"{HISTORY}/{second}").json()["entry"]["cases"]["accepted"]["reason"] == "An emergency."
        counts = "authz_policy_publishes_total"
        with own_server.client(issuer.token(permissions="metrics:read")) as scraper:
            text = scraper.get("/metrics").text
        assert f'{counts}{{kind="publish",outcome="cases"}} 4.0' in text
        assert f'{counts}{{kind="rollback",outcome="cases"}} 1.0' in text
    assert [action for action, _, _ in audit(own_server)] == ["policy.publish", "policy.rollback", "policy.rollback"]


def test_wider_access_and_failing_cases_are_reported_together(own_server: Server, issuer: LiveIssuer) -> None:
    with admin(own_server, issuer) as client:
        content = files(own_server)
        content["catalog.csv"] = content["catalog.csv"].replace(READ, OTHER)
        refused = client.post(PUBLISH, json=sent(active(client), content)).json()
        assert "acknowledge_widening" in refused["detail"]
        assert "accept_failing_cases" in refused["detail"]
        assert refused["access"]
        assert refused["cases"]["failed"] > 0
        acknowledged = sent(active(client), content, acknowledge_widening=True)
        assert "acknowledge_widening" not in client.post(PUBLISH, json=acknowledged).json()["detail"]
        reason = {"accept_failing_cases": "Tests follow."}
        assert client.post(PUBLISH, json={**sent(active(client), content), **reason}).status_code == 409
        assert client.post(PUBLISH, json={**acknowledged, **reason}).status_code == 200


def test_a_reason_is_stored_only_if_it_was_needed(own_server: Server, issuer: LiveIssuer) -> None:
    with admin(own_server, issuer) as client:
        content = files(own_server)
        content["roles.csv"] = "# Gathered.\n" + content["roles.csv"]
        done = client.post(PUBLISH, json=sent(active(client), content, accept_failing_cases="To be sure."))
        assert done.status_code == 200, done.text
        entry = client.get(HISTORY).json()["results"][0]
        assert entry["cases"] == {"run": case_count(), "failed": 0, "removed": 0, "accepted": None}


def test_edited_files_apply_and_their_failing_cases_are_reported(own_server: Server, issuer: LiveIssuer) -> None:
    def failing(client: Any) -> Any:
        return client.get("/readyz").json()["checks"]["policy"]["failing_cases"]

    with admin(own_server, issuer) as client:
        assert eventually(lambda: failing(client) == 0)
        path: Path = own_server.policy_dir / "catalog.csv"
        path.write_text(
            path.read_text().replace(PASSING, PASSING.replace("catalog:read", "catalog:read policies:read"))
        )
        client.post("/api/v1/policies/reload/")
        assert client.get("/api/v1/teams").status_code == 200
        with own_server.client(issuer.token(permissions="catalog:read")) as reader:
            assert reader.get("/api/v1/teams").status_code == 403
        assert eventually(lambda: bool(failing(client)))
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "ready")
        shown = client.get("/api/v1/policies").json()["cases"]
        assert (shown["run"], shown["failed"]) == (case_count(), failing(client))
        assert shown["failures"][0]["file"] == "tests/apps.yaml"
        line = own_server.wait_for_log(lambda entry: entry.get("event") == "cases of the active policy fail")
        assert (line["failed"], line["run"], len(line["first"])) == (shown["failed"], case_count(), 3)
        with own_server.client(issuer.token(permissions="metrics:read")) as scraper:
            assert f"authz_policy_failing_cases {float(shown['failed'])}" in scraper.get("/metrics").text
        path.write_text(path.read_text().replace("catalog:read policies:read", "catalog:read"))
        client.post("/api/v1/policies/reload/")
        assert eventually(lambda: failing(client) == 0)
