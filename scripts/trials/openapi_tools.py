"""Lint the OpenAPI document, generate clients from it, and type-check them.

    .venv/bin/python -m scripts.trials.openapi_tools [--document FILE] [--keep DIRECTORY]

The document is that of a server with the shipped policy, which gives tokens to third-party apps, or `--document`. The
linters are spectral (its OAS rules) and redocly, the generators openapi-typescript, @hey-api/openapi-ts and
openapi-python-client: those of npm are in `openapi/package-lock.json`, the one of Python in
`scripts/requirements/openapi.txt`. Exits with 1 when one of them writes an error or a warning, or when `tsc --strict`
or `mypy --strict` finds an error in what was generated.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from hashlib import sha256
from pathlib import Path

import httpx

from tests.support.issuer import LiveIssuer
from tests.support.node_packages import NODE, node_packages
from tests.support.server import ROOT, Server

_HERE = Path(__file__).parent / "openapi"
_LOCK = ROOT / "scripts" / "requirements" / "openapi.txt"


def served_document(directory: Path) -> bytes:
    """The document of a server that gives tokens to third-party apps."""
    with LiveIssuer() as issuer:
        made = Server(
            directory,
            jwks_url=issuer.jwks_url,
            issuer=issuer.url,
            public_url="https://api.griddy.example",
            console_url="https://console.griddy.example",
            console_client_id="console",
        )
        with made as server:
            return httpx.get(f"{server.url}/openapi.json", timeout=60).content


def python_tools() -> Path:
    """The programs of an environment with what the lock names, made on first use."""
    digest = sha256(_LOCK.read_bytes()).hexdigest()[:16]
    directory = ROOT / ".venv" / "tools" / f"openapi-{digest}"
    if not directory.exists():
        venv.create(directory, with_pip=True)
        pip = [str(directory / "bin" / "pip"), "install", "--quiet", "--require-hashes", "-r", str(_LOCK)]
        subprocess.run(pip, check=True)
    return directory / "bin"


class Tools:
    """Runs the tools in a directory, and collects what they object to."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._modules = node_packages(_HERE) / "node_modules"
        self._python = python_tools()
        self.failed: list[str] = []
        for file in ("spectral.yaml", "redocly.yaml", "tsconfig.json"):
            shutil.copy(_HERE / file, directory)

    def node(self, name: str, program: str, *words: str) -> None:
        """Run a program of npm."""
        self._run(name, str(NODE), str(self._modules / ".bin" / program), *words)

    def python(self, name: str, program: str, *words: str) -> None:
        """Run a program of the environment for Python."""
        self._run(name, str(self._python / program), *words)

    def _run(self, name: str, *command: str) -> None:
        path = f"{self._python}{os.pathsep}{os.environ['PATH']}"  # the generator for Python runs ruff
        env = {
            **os.environ,
            "PATH": path,
            "NO_COLOR": "1",
            "REDOCLY_TELEMETRY": "off",
            "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true",
        }
        done = subprocess.run(command, cwd=self._directory, env=env, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        is_good = done.returncode == 0 and "warning" not in output.lower()
        print(f"{'ok' if is_good else 'FAILED'}: {name}")
        if not is_good:
            self.failed.append(name)
            print(output[-4000:])


def try_all(directory: Path) -> list[str]:
    """Run all tools on `openapi.json` in a directory. Returns the names of those that object."""
    tools = Tools(directory)
    tools.node("spectral", "spectral", "lint", "openapi.json", "-r", "spectral.yaml", "--fail-severity", "hint")
    tools.node("redocly", "redocly", "lint", "openapi.json", "--config", "redocly.yaml")
    tools.node("openapi-typescript", "openapi-typescript", "openapi.json", "-o", "types.ts")
    tools.node("@hey-api/openapi-ts", "openapi-ts", "-i", "openapi.json", "-o", "client")
    tools.node("tsc --strict", "tsc", "-p", "tsconfig.json")
    generate = ("generate", "--path", "openapi.json", "--output-path", "python", "--fail-on-warning")
    tools.python("openapi-python-client", "openapi-python-client", *generate)
    tools.python("mypy --strict", "mypy", "--strict", "python")
    return tools.failed


def main() -> None:
    """Read the arguments, and run the tools."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--document", type=Path, help="the document, instead of that of a server")
    parser.add_argument("--keep", type=Path, help="an empty directory for what is generated")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        directory = (options.keep or Path(temporary) / "generated").resolve()
        directory.mkdir(parents=True, exist_ok=True)
        document = options.document.read_bytes() if options.document else served_document(Path(temporary))
        (directory / "openapi.json").write_text(json.dumps(json.loads(document), indent=1))
        sys.exit(bool(try_all(directory)))


if __name__ == "__main__":
    main()
