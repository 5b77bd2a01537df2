"""The runbooks work: every command is run and its output compared."""

from __future__ import annotations

import asyncio
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.identity.api_keys import mint
from app.keys import api_keys
from tests.support.databases import Postgres
from tests.support.server import ROOT, eventually, prepared_database
from tests.support.walkthrough import URL, Ids, Shell, Step, dev, steps

RUNBOOKS = ROOT / "scripts" / "deploy" / "runbooks"
ISSUE = """curl -s -H "Authorization: Bearer $OWNER" -H 'Content-Type: application/json' \
  -d '{"name": "NAME", "scopes": ["catalog:read"]}' URL/api/v1/api-keys/ |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["plaintext"])'"""

# An address with libpq parameters works for the program and for PostgreSQL's tools.
LIBPQ = (
    "sslmode=prefer&application_name=backup&connect_timeout=10&target_session_attrs=read-write"
    "&channel_binding=prefer&options=-cstatement_timeout%3D60s"
)

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")


def follow(page: str, shell: Shell, told: list[Step] | None = None) -> None:
    """Run the commands of a runbook."""
    ids = Ids()
    for step in told or steps(RUNBOOKS / page):
        printed = shell.expect(step, ids)
        assert not printed, f"{page}:{step.line}: `{step.command}` prints\n{printed}\nwhere the page has\n{step.shown}"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with the shipped policy."""
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    return tmp_path


def test_the_runbooks_for_a_leaked_key_and_a_lock_out_work(directory: Path) -> None:
    with dev(directory) as (url, issuer_port), Shell(directory, url, issuer_port) as shell:
        shell.run("OWNER=$(authz token --sub user_owner --permissions catalog:read)")
        shell.run(ISSUE.replace("URL", URL).replace("NAME", "nightly import") + " > found.txt")
        shell.run(ISSUE.replace("URL", URL).replace("NAME", "another") + " > another.txt")
        for number, path in enumerate(("teams", "sources"), 1):
            request = f'-H "Authorization: Bearer $(cat found.txt)" -H "X-Request-ID: leak-{number}"'
            shell.run(f"curl -s -o /dev/null {request} {URL}/api/v1/{path}/")
        assert eventually(lambda: "leak-2" in shell.run("authz decisions tail"))
        follow("key-leak.md", shell)
        leaked = (directory / "found.txt").read_text().strip()
        files = [file for file in directory.rglob("*") if file.is_file() and file.name not in ("found.txt", "dev.log")]
        assert len(leaked) == 57
        assert not [file for file in files if leaked.encode() in file.read_bytes()]

        shell.run("TOKEN=$(authz token --sub user_2abc --permissions catalog:read)")
        follow("lock-out.md", shell)


def test_the_runbook_for_off_boarding_ends_all_access(directory: Path) -> None:
    roles = directory / "policies" / "roles.csv"
    roles.write_text(roles.read_text().replace("# end", "g, user:user_leaver, role:editor\n# end"))
    with dev(directory) as (url, issuer_port), Shell(directory, url, issuer_port) as shell:
        shell.run("OWNER=$(authz token --sub user_leaver --permissions holdings:read)")
        shell.run("ADMIN=$(authz token --sub user_admin --permissions keys:write)")
        issued = ISSUE.replace("URL", URL).replace("NAME", "import")
        for file, scopes in (("left.txt", '["catalog:read", "holdings:read"]'), ("other.txt", '["holdings:read"]')):
            shell.run(issued.replace('["catalog:read"]', scopes) + f" > {file}")
        member = "--sub user_leaver --permissions holdings:read --org org_2abc --org-permissions org-keys:write"
        shell.run(f"MEMBER=$(authz token {member})")
        of_organization = issued.replace("OWNER", "MEMBER").replace('["catalog:read"]', "[]")
        shell.run(of_organization.replace("api-keys", "orgs/org_2abc/api-keys") + " > shared.txt")
        follow("off-boarding.md", shell)


async def _issue(url: str) -> None:
    engine = open_engine(url)
    async with sessions_of(engine)() as session:
        for name in ("leaked", "kept"):
            now = datetime.now(UTC)
            await api_keys.insert(session, subject="user_owner", name=name, new=mint("live"), scopes=[], now=now)
        await session.commit()
    await engine.dispose()


def test_the_runbook_for_a_backup_works_on_each_database(directory: Path, postgres: Postgres) -> None:
    told = steps(RUNBOOKS / "backup.md")
    first = next(number for number, step in enumerate(told) if step.command.startswith("pg_dump"))
    (directory / ".authz").mkdir()
    file = directory / ".authz" / "authz.db"
    shutil.copy(prepared_database(), file)
    asyncio.run(_issue(f"sqlite:///{file}"))
    with Shell(directory, URL, 0) as shell:
        follow("backup.md", shell, told[:2])
        shell.run("authz keys revoke 1")  # after the backup
        follow("backup.md", shell, told[2:first])
        assert file.stat().st_mode & 0o077 == 0

        url = f"{postgres.new(prepared=True)}&{LIBPQ}"
        asyncio.run(_issue(url))
        shell.run(f"export PATH={postgres.programs}{os.pathsep}$PATH AUTHZ_DATABASE_URL='{url}'")
        shell.run(f"RESTORED_URL='{url.replace(urlsplit(url).path, '/restored')}'")
        follow("backup.md", shell, told[first:])


@pytest.mark.parametrize("page", sorted(file.name for file in RUNBOOKS.glob("*.md")))
def test_each_runbook_has_one_page(page: str) -> None:
    assert len((RUNBOOKS / page).read_text().splitlines()) <= 100
