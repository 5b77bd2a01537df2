"""The page about the hash chain: its commands are run in order, with a server that has the key of the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import ROOT, Server, eventually
from tests.support.walkthrough import URL, Ids, Shell, steps

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")
PAGE = ROOT / "scripts" / "deploy" / "chain.md"


def test_the_commands_of_the_page_find_what_was_changed(issuer: LiveIssuer, tmp_path: Path) -> None:
    told = steps(PAGE)
    first = next(number for number, step in enumerate(told) if step.command.startswith("authz "))
    ids = Ids()
    server = Server(
        tmp_path,
        jwks_url=issuer.jwks_url,
        issuer=issuer.url,
        authorized_parties=PARTY,
        decision_log_seal_seconds="1",
        decision_log_signing_key_file=str(tmp_path / "chain-private.pem"),
    )
    with Shell(tmp_path, URL, 0) as shell:
        for step in told[:first]:
            assert not shell.expect(step, ids)
        assert (tmp_path / "chain-private.pem").stat().st_mode & 0o077 == 0
        shell.run(f"export AUTHZ_DATABASE_URL={server.env['AUTHZ_DATABASE_URL']}")
        with server:
            assert shell.run("authz decisions head") == "Nothing is sealed yet."
            with server.client(issuer.token(permissions=["catalog:read"])) as client:
                for _ in range(3):
                    assert client.get("/api/v1/teams/").status_code == 200
            assert eventually(lambda: "decisions:" in shell.run("authz decisions head"), 20)
            for step in told[first:]:
                assert not (printed := shell.expect(step, ids)), f"{step.line}: {printed}"
