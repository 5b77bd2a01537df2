"""`authz serve` with a certificate: an invalid one is reported before anything is served."""

from __future__ import annotations

import ssl
from pathlib import Path
from subprocess import CompletedProcess

import httpx

from tests.support.certificate import make
from tests.support.forked_process import run
from tests.support.issuer import LiveIssuer
from tests.support.server import AUTHZ, Server


def _serve(*options: str, directory: Path) -> CompletedProcess[str]:
    """Run `authz serve` without settings and database: certificates are checked first."""
    return run("serve", "--port", "0", *options, env={}, cwd=directory)


def test_it_serves_https(on: str, issuer: LiveIssuer, tmp_path: Path) -> None:
    certificate = make(tmp_path)
    command = (str(AUTHZ), "serve", "--port", "0", "--server", on, *certificate.options)
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command) as server:
        assert server.url.startswith("https://127.0.0.1:")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            trusting = certificate.trusted()
            trusting.minimum_version = trusting.maximum_version = version
            with httpx.Client(base_url=server.url, verify=trusting) as client:
                assert client.get("/healthz").json() == {"status": "ok"}


def test_a_certificate_comes_with_its_key(tmp_path: Path) -> None:
    done = _serve("--tls-certificate", "server.pem", directory=tmp_path)
    assert done.returncode == 2
    assert "--tls-key" in done.stderr


def test_an_invalid_certificate_pair_is_reported(tmp_path: Path) -> None:
    one, other = make(tmp_path, "one"), make(tmp_path, "other")
    secret = make(tmp_path, "secret", password=b"sesame")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for certificate, key, told in (
        (tmp_path / "none.pem", one.key, "cannot read"),
        (one.certificate, tmp_path / "none.key", "cannot read"),
        (one.certificate, other.key, "is not that of the certificate"),
        (text, one.key, "are no certificate and key in PEM"),
        (one.certificate, text, "are no certificate and key in PEM"),
        (secret.certificate, secret.key, "is encrypted"),
    ):
        done = _serve("--tls-certificate", str(certificate), "--tls-key", str(key), directory=tmp_path)
        assert done.returncode == 1, done.stderr
        assert told in done.stderr
        assert "Traceback" not in done.stderr
