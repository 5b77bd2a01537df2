"""`authz policy diff` and `replay` of revisions and of the active policy of a server."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from app.cli.policy.server_policy import MAX_BODY
from tests.cli.command import command
from tests.support.certificate import make
from tests.support.issuer import LiveIssuer
from tests.support.server import AUTHZ, ROOT, Server, eventually, prepared_database
from tests.support.threaded_server import ThreadedServer

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")

ROW = "p, catalog:read, /api/v1/leagues/**, GET|HEAD, allow\n"
WIDER = "p, anyone, /api/v1/leagues/**, GET|HEAD, allow\n"
Run = subprocess.CompletedProcess[str]


def candidate(directory: Path) -> Path:
    """The shipped policy with one wider row."""
    made = Path(shutil.copytree(ROOT / "policies", directory / "candidate"))
    file = made / "catalog.csv"
    file.write_text(file.read_text().replace(ROW, WIDER))
    return made


def authz(server: Server, *words: str, token: str | None = None) -> Run:
    env = {**server.env, **({"AUTHZ_TOKEN": token} if token is not None else {})}
    return command("policy", *words, env=env, cwd=server.directory)


def found(server: Server) -> str:
    """The revision that a server found at startup, which it stores in the background."""

    def kept() -> list[str]:
        return [entry["revision"] for entry in json.loads(authz(server, "history", "--json").stdout)]

    assert eventually(lambda: len(kept()) == 1)
    return kept()[0]


def test_revisions_and_a_running_server_can_be_compared(own_server: Server, issuer: LiveIssuer) -> None:
    candidate(own_server.directory)
    old = found(own_server)
    accepted = ("--acknowledge-widening", "--accept-failing", "The cases follow.")
    published = authz(own_server, "publish", "candidate", "-m", "x", *accepted, "--json")
    new = json.loads(published.stdout)["revision"]
    token = issuer.token(permissions=["policies:read"])

    def served() -> str:
        return authz(own_server, "diff", "--json", old[:8], own_server.url, token=token).stdout

    assert eventually(lambda: json.loads(served())["widens"], 20), "the server has the published revision"
    told = json.loads(served())
    assert told["old"] == {"revision": old}
    assert told["new"] == {"server": own_server.url, "revision": new}
    rows = told["changes"][0]["rows"]
    assert [(row["policy"], row["file"], row["line"]) for row in rows] == [
        ("new", "catalog.csv", 4),
        ("old", "catalog.csv", 4),
    ]
    wider = authz(own_server, "diff", old[:4], new)
    assert wider.returncode == 1
    assert f"\n    now  {new}/catalog.csv:4: {WIDER}    was  {old}/catalog.csv:4: {ROW}" in wider.stdout
    same = authz(own_server, "diff", own_server.url + "/", "candidate", token=token)
    assert (same.returncode, same.stdout) == (0, "Nothing changes: both policies decide alike.\n")

    def logged() -> bool:
        return f" under revision {old}" in authz(own_server, "replay", old[:6]).stdout

    assert eventually(logged, 20)
    replayed = authz(own_server, "replay", own_server.url, "--json", token=token)
    assert json.loads(replayed.stdout)["revision"] == new


def test_a_refusal_of_the_server_names_the_required_permission(own_server: Server, issuer: LiveIssuer) -> None:
    url = own_server.url
    anonymous = authz(own_server, "diff", url, "policies")
    expired = authz(own_server, "diff", url, "policies", token=issuer.token(exp=1, permissions=["policies:read"]))
    reader = authz(own_server, "diff", url, "policies", token=issuer.token(permissions=["catalog:read"]))
    broken = authz(own_server, "diff", url, "policies", token="two words")
    for done, told in (
        (anonymous, f"set AUTHZ_TOKEN to a token or key that has `policies:read` at {url}."),
        (expired, f"{url} answers 401, “Token has expired.”: AUTHZ_TOKEN is not valid there."),
        (reader, "answers 403, “Token is missing one or more required permissions.”: AUTHZ_TOKEN needs"),
        (broken, "AUTHZ_TOKEN is not a token"),
    ):
        assert (done.returncode, done.stdout) == (2, "")
        assert told in done.stderr
    own_server.stop()
    gone = authz(own_server, "diff", url, "policies", token="x")
    assert gone.returncode == 2
    assert "cannot be reached: " in gone.stderr
    assert "refused" in gone.stderr


def test_the_certificate_of_the_server_must_be_trusted(issuer: LiveIssuer, tmp_path: Path) -> None:
    certificate = make(tmp_path)
    serve = (str(AUTHZ), "serve", "--port", "0", *certificate.options)
    token = issuer.token(permissions=["policies:read"])
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=serve) as server:
        found(server)
        strange = authz(server, "diff", server.url, "policies", token=token)
        server.env["SSL_CERT_FILE"] = str(certificate.certificate)
        trusted = authz(server, "diff", server.url, "policies", token=token)
        server.env["SSL_CERT_FILE"] = str(tmp_path / "none.pem")
        none = authz(server, "diff", server.url, "policies", token=token)
    assert strange.returncode == 2
    assert "CERTIFICATE_VERIFY_FAILED" in strange.stderr
    assert (trusted.returncode, trusted.stdout) == (0, "Nothing changes: both policies decide alike.\n")
    assert none.returncode == 2
    assert "No such file" in none.stderr


class Stranger:
    """Another kind of server, which records the tokens that it receives."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.tokens: list[str | None] = []
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                stranger.tokens.append(self.headers["Authorization"])
                status, headers, body = stranger.answers.get(self.path, (404, {}, b"<html>\x1b[31mNo</html>"))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
                """Write nothing to standard error."""

            def log_message(self, *_: object) -> None:
                """Write nothing when the caller disconnects."""

        self.http = ThreadedServer(Handler)
        self.url = self.http.url


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    made = Stranger()
    with made.http:
        yield made


def compared(directory: Path, name: str) -> Run:
    env = {"AUTHZ_TOKEN": "secret", "AUTHZ_DATABASE_URL": f"sqlite:///{directory / 'authz.db'}", "NO_COLOR": "1"}
    return command("policy", "diff", name, str(ROOT / "policies"), env=env, cwd=directory)


ACTIVE, STORED = "/api/v1/policies/", "/api/v1/policies/history/0123456789abcdef"
NAMED: dict[str, tuple[int, dict[str, str], bytes]] = {ACTIVE: (200, {}, b'{"revision": "0123456789abcdef"}')}


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({}, "answers 404: is it the right address"),
        ({ACTIVE: (302, {"Location": "https://elsewhere.example/"}, b"")}, "redirects to https://elsewhere.example/: "),
        ({ACTIVE: (200, {}, b"<html>")}, "with something else than authz would"),
        ({ACTIVE: (200, {}, b'{"revision": 7}')}, "with something else than authz would"),
        ({ACTIVE: (200, {}, b"[" * 100_000)}, "with something else than authz would"),
        ({ACTIVE: (200, {}, b'{"revision": "../../../x"}')}, "gives no revision"),
        ({ACTIVE: (500, {}, b'{"detail": "\x1b[31m"}')}, "answers 500."),
        ({ACTIVE: (503, {}, b'{"detail": "Later \\u001b[31m"}')}, "answers 503, “Later \\x1b[31m”."),
        ({ACTIVE: (200, {}, b" " * (MAX_BODY + 1))}, "sends more than "),
        ({**NAMED, STORED: (404, {}, b'{"detail": "Revision not found."}')}, "is its active revision stored?"),
        ({**NAMED, STORED: (200, {}, b'{"files": {"model.conf": "x"}}')}, "sent other files than those of the"),
    ],
    ids=["404", "redirect", "html", "shape", "deep", "revision", "500", "control", "oversized", "absent", "files"],
)
def test_an_answer_of_another_server_is_refused(
    stranger: Stranger, tmp_path: Path, answers: dict[str, tuple[int, dict[str, str], bytes]], told: str
) -> None:
    stranger.answers = answers
    done = compared(tmp_path, stranger.url)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert told in done.stderr
    assert "secret" not in done.stderr
    assert "\x1b" not in done.stderr


def test_no_token_is_sent_through_a_proxy_without_tls(
    stranger: Stranger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", stranger.url)
    monkeypatch.setenv("AUTHZ_TOKEN", "secret")
    done = command("policy", "diff", "http://127.0.0.1:9", str(ROOT / "policies"), cwd=tmp_path)
    assert done.returncode == 2
    assert stranger.tokens == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("http://authz.example.com", "would send AUTHZ_TOKEN in the clear"),
        ("HTTP://127.0.0.1.example.com", "would send AUTHZ_TOKEN in the clear"),
        ("https://u:hunter2@authz.example.com", "the address of a server is only scheme, host and port"),
        ("https://authz.example.com/api", "write only scheme, host and port"),
        ("https://authz.example.com?x", "write only scheme, host and port"),
        ("https://", "the address of a server is only scheme, host and port"),
        ("https://x:port", "the address of a server is only scheme, host and port"),
        ("https://a b", "cannot be reached"),
        ("nowhere", "`nowhere` does not exist, and is neither a revision"),
        ("authz.db", "`authz.db` is not a directory, and is neither a revision"),
        ("abc", "`abc` does not exist, and is neither a revision"),
        ("ABCDEF", "is neither a revision"),
        ("abcdef", "there is no directory and no revision abcdef; `authz policy history` lists"),
        ("1234", "`1234` is the start of more than one revision: 1234500000000000, 1234600000000000."),
        ("0000", "is the start of more than one revision: "),
    ],
)
def test_an_unknown_policy_name_is_reported(tmp_path: Path, name: str, told: str) -> None:
    shutil.copy(prepared_database(), tmp_path / "authz.db")
    with closing(sqlite3.connect(tmp_path / "authz.db")) as database:
        for number, revision in enumerate(
            ["1234500000000000", "1234600000000000", "1234500000000000", *(f"0000{n:012x}" for n in range(9))]
        ):
            database.execute(
                "INSERT INTO policy_revisions (parent_id, revision, kind, author, message, widens, created_at, changes,"
                " files) VALUES (?, ?, 'files', '', '', 0, '2026-11-24 00:00:00', '[]', '')",
                (number, revision),
            )
        database.commit()
    done = compared(tmp_path, name)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert told in done.stderr
    assert "hunter2" not in done.stderr
    assert ("and more" in done.stderr) == (name == "0000")


def test_a_directory_takes_precedence_over_a_revision(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "policies", tmp_path / "abcdef")
    assert compared(tmp_path, "abcdef").stdout == "Nothing changes: both policies decide alike.\n"
