"""Variables that are settings: any other name is refused with the nearest one, except service links."""

from __future__ import annotations

import string
from collections.abc import Callable
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, load, load_local
from app.settings_variables import NOT_SETTINGS, is_one_edit_away, is_service_link, unknown_variables
from tests.cli.command import command

NAMES = [f"AUTHZ_{name.upper()}" for name in Settings.model_fields]
REQUIRED = {
    "AUTHZ_ISSUER": "https://issuer.example",
    "AUTHZ_AUDIENCE": "griddy",
    "AUTHZ_JWKS_URL": "https://issuer.example/jwks.json",
}
SERVICE_LINKS = {
    "AUTHZ_SERVICE_HOST": "10.0.0.1",
    "AUTHZ_SERVICE_PORT": "80",
    "AUTHZ_SERVICE_PORT_HTTP": "80",
    "AUTHZ_PORT": "tcp://10.0.0.1:80",
    "AUTHZ_PORT_80_TCP": "tcp://10.0.0.1:80",
    "AUTHZ_PORT_80_TCP_PROTO": "tcp",
    "AUTHZ_PORT_80_TCP_PORT": "80",
    "AUTHZ_PORT_80_TCP_ADDR": "fd00::1",
    "AUTHZ_METRICS_SERVICE_HOST": "10.0.0.2",
    "AUTHZ_METRICS_PORT": "tcp://[fd00::2]:9090",
    "AUTHZ_METRICS_PORT_9090_UDP": "udp://10.0.0.2:9090",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with the required settings and no `.env`."""
    monkeypatch.chdir(tmp_path)
    for name, value in REQUIRED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def misspelled(name: str) -> set[str]:
    letters = string.ascii_uppercase + "_"
    left_out = {name[:at] + name[at + 1 :] for at in range(len(name))}
    swapped = {name[:at] + name[at + 1] + name[at] + name[at + 2 :] for at in range(len(name) - 1)}
    added = {name[:at] + letter + name[at:] for at in range(len(name) + 1) for letter in letters}
    replaced = {name[:at] + letter + name[at + 1 :] for at in range(len(name)) for letter in letters}
    return (left_out | swapped | added | replaced) - {name}


@pytest.mark.parametrize("name", NAMES)
def test_each_setting_misspelled_by_one_letter_is_refused(name: str) -> None:
    wrong = misspelled(name)
    assert all(is_one_edit_away(each, name) for each in wrong)
    lines = unknown_variables(dict.fromkeys(wrong, "x"), NAMES)
    assert len(lines) == len(wrong)
    for line in lines:
        given, _, rest = line.partition(":")
        assert is_one_edit_away(given, rest.partition("did you mean ")[2].partition("?")[0])


@pytest.mark.parametrize("case", [str.upper, str.lower, str.title])
def test_a_misspelled_setting_ends_each_command(case: Callable[[str], str], environment: pytest.MonkeyPatch) -> None:
    given = case("AUTHZ_AUTHORISED_PARTIES")
    environment.setenv(given, "https://app.griddy.example")
    said = f"{given}: there is no such setting; did you mean AUTHZ_AUTHORIZED_PARTIES?"
    for read in (load, load_local):
        with pytest.raises(SettingsError) as refused:
            read()
        assert str(refused.value) == said
    for words in ("serve", "db upgrade", "keys list", "policy check .", "policy routes .", "policy test .", "token"):
        done = command(*words.split(), cwd=Path.cwd())
        assert (done.returncode, done.stderr) == (1, f"authz: {said}\n"), words
    assert not list(Path.cwd().iterdir())  # nothing was created


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("AUTHZ_AUDIENCES", "AUTHZ_AUDIENCE"),
        ("AUTHZ_DATABSE_URL", "AUTHZ_DATABASE_URL"),
        ("AUTHZ_DB_URL", "AUTHZ_DATABASE_URL"),
        ("AUTHZ__ISSUER", "AUTHZ_ISSUER"),
        ("AUTHZ_GATEWAY_SECRET", "AUTHZ_GATEWAY_SECRETS"),
        ("AUTHZ_TOKNE", "AUTHZ_TOKEN"),
        ("AUTHZ_SERVICE_HOST", None),
        ("AUTHZ_PORT_80_TCP", None),
    ],
)
def test_the_nearest_name_is_suggested(given: str, meant: str | None) -> None:
    (line,) = unknown_variables({given: "no-service-link"}, NAMES)
    assert line.startswith(f"{given}: there is no such setting; did you mean AUTHZ_")
    assert meant is None or line.endswith(f"did you mean {meant}?")


def test_a_misspelled_prefix_is_refused_only_while_the_setting_is_missing() -> None:
    assert unknown_variables({"AUTH_ISSUER": "x"}, NAMES) == [
        "AUTH_ISSUER: did you mean AUTHZ_ISSUER? If not, set AUTHZ_ISSUER too."
    ]
    assert not unknown_variables({"AUTH_ISSUER": "x", "AUTHZ_ISSUER": "y"}, NAMES)
    assert not unknown_variables(
        {"PATH": "/bin", "AUTH_TOKEN": "x", "AUTH_PORT": "tcp://10.0.0.1:80", "PORT": "1"}, NAMES
    )


def test_variables_that_the_program_reads_are_known(environment: pytest.MonkeyPatch) -> None:
    for name in NOT_SETTINGS:
        environment.setenv(name, "x")
    assert load().issuer == REQUIRED["AUTHZ_ISSUER"]


def test_service_links_of_kubernetes_are_ignored(environment: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("AUTHZ_PORT=8123\n")
    for name, value in SERVICE_LINKS.items():
        assert is_service_link(name, value), name
        environment.setenv(name, value)
    assert load().port == 8123
    Path(".env").unlink()
    assert load().port == 8000


@pytest.mark.parametrize("name", SERVICE_LINKS)
@pytest.mark.parametrize("value", ["", "x", "tcp://", "http://10.0.0.1:80", "https://issuer.example", "-1", "10.0.0"])
def test_a_service_link_has_the_form_of_one(name: str, value: str) -> None:
    assert not is_service_link(name, value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"AUTHZ_AUTHORISED_PARTIES=x\n", "AUTHZ_AUTHORISED_PARTIES: there is no such setting"),
        (b"AUTHZ_AUTHORIZED_PARTIES: https://app.example\n", ".env:1: AUTHZ_AUTHORIZED_PARTIES: write AUTHZ_AUTH"),
        (b"# one\nexport AUTHZ_AUTHORIZED_PARTIES\n", ".env:2: AUTHZ_AUTHORIZED_PARTIES: write AUTHZ_AUTH"),
        (b"AUTHZ_ISSUER=M\xfcller\n", ".env: is not UTF-8"),
    ],
)
def test_a_broken_line_of_the_file_is_refused(text: bytes, said: str, environment: pytest.MonkeyPatch) -> None:
    Path(".env").write_bytes(text)
    with pytest.raises(SettingsError) as refused:
        load()
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_the_environment_wins_over_the_file(environment: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("\ufeffAUTHZ_ISSUER=https://other.example\nauthz_log_level=error\nOTHER line\nOTHER=1\n")
    assert (load().issuer, load().log_level) == (REQUIRED["AUTHZ_ISSUER"], "error")


def test_a_setting_in_two_spellings_is_refused(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("authz_audience", "other")
    environment.setenv("AUTHZ_TOKEN", "no setting")
    environment.setenv("authz_token", "no setting")
    with pytest.raises(
        SettingsError, match=r"\A(AUTHZ_AUDIENCE, authz_audience|authz_audience, AUTHZ_AUDIENCE): these"
    ):
        load_local()
    environment.delenv("authz_audience")
    Path(".env").write_text("Authz_Issuer=https://a.example\nAUTHZ_issuer=https://b.example\n")
    with pytest.raises(SettingsError, match=r"\AAuthz_Issuer, AUTHZ_issuer: these are the same setting; keep one"):
        load()
    Path(".env").write_text("Authz_Issuer=https://a.example\n")
    assert load().issuer == REQUIRED["AUTHZ_ISSUER"]
    environment.setenv("authz_port", "tcp://10.0.0.1:80")
    environment.setenv("AUTHZ_PORT", "9000")
    assert load().port == 9000
