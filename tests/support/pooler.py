"""PgBouncer in front of a PostgreSQL server; with a certificate, tests reach a database through it over TLS."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

from tests.support.certificate import Certificate
from tests.support.server import free_port

_START_SECONDS = 20.0


class Pooler:
    """Listens on a port of 127.0.0.1 and forwards to the server of `url`, as the user of that server.

    It has few server connections, so that clients share them. With an `authority`, clients need its certificate.
    """

    def __init__(
        self,
        url: str,
        mode: Literal["session", "transaction"] = "transaction",
        *,
        connections: int = 4,
        certificate: Certificate | None = None,
        authority: Path | None = None,
        password: str | None = None,
    ) -> None:
        self._socket = Path(parse_qs(urlsplit(url).query)["host"][0])
        self._database = urlsplit(url).path
        self._mode = mode
        self._connections = connections
        self._certificate = certificate
        self._authority = authority
        self._password = password
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="authz-pooler-"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL of the database through the pooler."""
        login = "postgres" if self._password is None else f"postgres:{self._password}"
        return f"postgresql://{login}@127.0.0.1:{self.port}{self._database}"

    @property
    def log(self) -> str:
        """The log."""
        return (self._directory / "log").read_text()

    def __enter__(self) -> Self:
        owner = pwd.getpwuid(self._socket.stat().st_uid)
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "pool_mode": self._mode,
            "default_pool_size": self._connections,
            "max_client_conn": 200,
            "auth_type": "trust" if self._password is None else "scram-sha-256",
            "auth_file": self._directory / "users",
            "server_login_retry": 1,
        }
        if self._certificate:
            for kind, file in (("cert", self._certificate.certificate), ("key", self._certificate.key)):
                shutil.copy(file, self._directory / kind)
                settings[f"client_tls_{kind}_file"] = self._directory / kind
            settings["client_tls_sslmode"] = "require"
        if self._authority:
            shutil.copy(self._authority, self._directory / "authority")
            settings |= {"client_tls_ca_file": self._directory / "authority", "client_tls_sslmode": "verify-ca"}
        lines = [f"{name} = {value}" for name, value in settings.items()]
        configuration = self._directory / "pgbouncer.ini"
        configuration.write_text(
            f"[databases]\n* = host={self._socket} user=postgres\n[pgbouncer]\n" + "\n".join(lines) + "\n"
        )
        (self._directory / "users").write_text(f'"postgres" "{self._password or ""}"\n')
        for path in (self._directory, *self._directory.iterdir()):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        self._owner = owner
        self.start()
        return self

    def start(self) -> None:
        """Start it, or start it again, and wait until it listens."""
        is_root = os.geteuid() == 0  # it refuses to run as root
        program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
        with (self._directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, self._directory / "pgbouncer.ini"],
                stdout=log,
                stderr=log,
                user=self._owner.pw_uid if is_root else None,
                group=self._owner.pw_gid if is_root else None,
                cwd=self._directory,
            )
        deadline = time.monotonic() + _START_SECONDS
        while "process up" not in self.log:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"pgbouncer did not start:\n{self.log}")
            time.sleep(0.02)

    def kill(self) -> None:
        """Kill it: clients lose their connections."""
        if self._process:
            self._process.kill()
            self._process.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self._directory, ignore_errors=True)
