"""`authz init`: writes a policy for a service."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from app.cli.failure import explained, fail
from app.cli.terminal import plural
from app.logs import first_lines

if TYPE_CHECKING:
    from app.policy.language.fault import Fault
    from app.policy.routing.routes import Route, RouteTable

_BASE = Path(__file__).parents[1] / "starter"
_SAMPLE = ("catalog", "holdings")
_GATEWAY = "nginx.conf"


@click.command("init")
@click.argument("directory", type=click.Path(path_type=Path))
@click.option("--name", required=True, help="The name of the service, such as orders; its permissions have it, too.")
@click.option(
    "--openapi",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The OpenAPI document of a service behind a gateway. Without it, the service is what AUTHZ_ROUTES has.",
)
@click.option("--listen", default="8080", show_default=True, help="Where the gateway listens.")
@click.option("--authz", default="127.0.0.1:8000", show_default=True, help="Where the gateway asks: this program.")
@click.option("--upstream", default="127.0.0.1:9000", show_default=True, help="Where the service listens.")
@click.option(
    "--key-prefix",
    callback=lambda _context, _parameter, value: _checked_prefix(value),
    help="What API keys of this deployment begin with, 2 to 12 letters and digits, such as acme; by default grd.",
)
@explained
def init_command(
    directory: Path,
    *,
    name: str,
    openapi: Path | None,
    listen: str,
    authz: str,
    upstream: str,
    key_prefix: str | None,
) -> None:
    """Write a policy for a service into DIRECTORY: rows for its endpoints, permissions, roles and cases.

    The settings are in DIRECTORY.env. For a service behind a gateway DIRECTORY.nginx.conf configures nginx. No file is
    overwritten.

    Example: authz init my-policy --openapi orders.yaml --name orders

    With API keys that begin with acme_: authz init my-policy --openapi orders.yaml --name orders --key-prefix acme
    """
    _check_name(name)
    settings, gateway = (directory.with_name(f"{directory.name}.{end}") for end in ("env", _GATEWAY))
    for target in (directory, settings, gateway):
        if target.exists():
            fail(f"`{target}` exists: choose another directory.")
    base = {file.name: file.read_text(encoding="utf-8") for file in _BASE.iterdir() if file.name != _GATEWAY}
    document = {f"upstreams/{name}.openapi{_ending(openapi)}": _text(openapi)} if openapi else {}
    files, routes, findings = _policy(name, base, document, str(openapi))
    for file, text in files.items():
        path = directory / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    lines = [f"AUTHZ_POLICY_DIR={shlex.quote(str(directory.absolute()))}", "AUTHZ_SAMPLE_API=false"]
    if key_prefix:
        lines.append(f"AUTHZ_KEY_PREFIX={key_prefix}")
    if openapi:
        secret = secrets.token_hex(24)
        values = {"LISTEN": listen, "AUTHZ": authz, "UPSTREAM": upstream, "GATEWAY_SECRET": secret, "SERVICE": name}
        _write_private(gateway, _with_values((_BASE / _GATEWAY).read_text(encoding="utf-8"), values))
        lines.append(f"AUTHZ_GATEWAY_SECRETS={secret}")
    else:
        lines += [f"AUTHZ_ROUTES={_handlers_address()}", f"AUTHZ_API_TITLE={name}"]
    _write_private(settings, "\n".join([*lines, ""]))
    click.echo(f"Wrote {directory}/ with rows and cases for {len(routes)} endpoints of {name}:")
    click.echo("".join(f"  {line}\n" for line in files[f"{name}.csv"].splitlines() if line.startswith("p, ")))
    if findings:
        click.echo(f"Some of the document is denied; `authz policy check` has {plural(findings, 'note')} about it.\n")
    if openapi:
        click.echo(f"The gateway listens on {listen}, asks {authz}, and sends what is allowed to {upstream}.")
        click.echo("Other addresses: --listen, --authz, --upstream.\n")
    click.echo(_next_steps(directory, settings, gateway if openapi else None))


def _check_name(name: str) -> None:
    from app.identity.principal import is_fact
    from app.policy.routing.routes import SERVICE

    if not SERVICE.fullmatch(name):
        raise click.UsageError("--name: write lower-case letters, digits and `-`, such as orders.")
    taken = {line[2:].partition(":")[0] for line in _text(_BASE / "permissions.toml").splitlines() if line[:2] == '["'}
    if is_fact(f"{name}:") or name in taken - set(_SAMPLE):
        raise click.UsageError(f"--name: the policy has words that begin with `{name}:` already; choose another name.")


def _checked_prefix(value: str | None) -> str | None:
    from app.identity.token_format import check_prefix

    try:
        return None if value is None else check_prefix(value)
    except ValueError as error:
        raise click.UsageError(f"--key-prefix: {error}.") from None


def _ending(openapi: Path) -> str:
    if openapi.suffix in (".yaml", ".yml"):
        return ".yaml"
    if openapi.suffix == ".json":
        return ".json"
    raise click.UsageError(f"--openapi: `{openapi}` must end with .yaml or .json.")


def _text(file: Path) -> str:
    from app.policy.language.directory import read_regular
    from app.policy.language.source import MAX_FILE_BYTES

    try:
        return read_regular(file.resolve(), MAX_FILE_BYTES).decode("utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"`{file}` is not a text in UTF-8.") from None
    except OSError as error:
        fail(f"`{file}` cannot be read: {(error.strerror or str(error)).lower()}.")


def _policy(
    name: str, base: Mapping[str, str], document: Mapping[str, str], given: str
) -> tuple[dict[str, str], list[Route], int]:
    """The files of the policy, which has no fault, the endpoints of the service, and how many notes there are.

    `given` is the name of the document, for its faults and for notes if it has no endpoint. Raises PolicyRefused.
    """
    from app.http.declared_routes import route_table
    from app.policy.analysis.starter import AmbiguousRoute, starter_files
    from app.policy.engine.live import build
    from app.policy.language.fault import PolicyRefused
    from app.policy.language.load import parse
    from app.policy.language.source import encode, from_bytes

    application = route_table(sample=False)
    if document:
        try:
            service = parse(from_bytes(encode({**base, **document})))
        except PolicyRefused as refused:
            fail("nothing was written, since the document has faults:", *_lines(refused.faults, document, given))
        findings = [finding for each in service.services for finding in each.findings]
        table = application.extended(service.upstreams, (path for each in service.services for path in each.closed))
        routes = list(service.upstreams)
    else:
        served, findings = _served(), []
        table, routes = served, [route for route in served.routes if route not in application]
    if not routes:
        place = "the document" if document else "AUTHZ_ROUTES"
        fail(f"the service has no endpoint: {place} has none.", *_lines(findings, document, given))
    try:
        files = {**starter_files(name, routes, table, base, _SAMPLE), **document}
    except AmbiguousRoute as error:
        fail(f"a row for `{error}` would open endpoints of authz as well: choose another path for this handler.")
    build(parse(from_bytes(encode(files))), application if document else table)
    return files, routes, len(findings)


def _lines(faults: Sequence[Fault], document: Mapping[str, str], given: str) -> list[str]:
    """The first of these faults; those of the document have the name by which the user knows it."""
    return first_lines([replace(each, file=given) if each.file in document else each for each in faults])


def _served() -> RouteTable:
    """The routes of the application with the handlers of AUTHZ_ROUTES, without the sample API."""
    address = _handlers_address()
    from app.assembly import route_table

    return route_table(sample=False, routes=address)


def _handlers_address() -> str:
    from app.settings import load_local

    address = load_local().routes
    if address is None:
        raise click.UsageError("name the service's document with --openapi, or set AUTHZ_ROUTES to your handlers.")
    return address


def _with_values(text: str, values: Mapping[str, str]) -> str:
    """The configuration with its values, without the paragraph that says how to write them."""
    paragraphs = text.split("#\n")
    text = "#\n".join(each for each in paragraphs if not each.startswith("# Put your values"))
    for variable, value in values.items():
        text = text.replace(f"${{{variable}}}", value)
    return text


def _write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, since it has a secret."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(text)


def _next_steps(directory: Path, settings: Path, gateway: Path | None) -> str:
    start = f"set -a; . {shlex.quote(str(settings.absolute()))}; set +a"
    lines = [
        "Next:",
        f"  {start}",
        f"  authz policy check {shlex.quote(str(directory))}",
        f"  authz policy test {shlex.quote(str(directory))}",
        "  authz dev                  # with a local issuer; `authz serve` in production",
    ]
    if gateway:
        lines.append(f"  nginx -c {shlex.quote(str(gateway.absolute()))} -g 'daemon off;'   # in another terminal")
    return "\n".join(lines)
