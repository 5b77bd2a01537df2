"""The shipped policy as bytes, and routes that it fits, for tests that change it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from app.policy.engine.live import build
from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import Policy, parse
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable

DIRECTORY = Path(__file__).parents[2] / "policies"
PERSON = frozenset({"anyone", "auth:jwt", "user:user_2abc"})


@cache
def shipped_files() -> Mapping[str, bytes]:
    """Every file of the shipped policy by name."""
    paths = [*DIRECTORY.glob("*"), *DIRECTORY.glob("tests/*.yaml")]
    return {
        str(path.relative_to(DIRECTORY)): path.read_bytes()
        for path in sorted(paths)
        if path.is_file() and path.suffix != ".md"
    }


@cache
def few_cases() -> Mapping[str, bytes]:
    """The shipped policy with the cases of a single file: reading those of all takes most of the time of a load."""
    return {name: data for name, data in shipped_files().items() if not _is_left_out(name)}


def _is_left_out(name: str) -> bool:
    return name.startswith("tests/") and name != "tests/tokens.yaml"


@cache
def case_count() -> int:
    """The number of cases of the shipped policy."""
    return len(parse(from_bytes(shipped_files())).cases)


@cache
def routes() -> RouteTable:
    """Routes that the shipped policy covers: each pattern that ends in `/**` and allows is a list and its items."""
    found: set[Route] = set()
    for rule in filter(lambda rule: rule.is_route, parse(from_bytes(shipped_files())).rules):
        base = rule.resource.removesuffix("/**")
        opened = [base, f"{base}/{{id}}"] if base and rule.effect == "allow" else []
        templates = [base] if base == rule.resource else opened
        found.update(Route(template, action) for template in templates for action in rule.actions)
    every = {route.template for route in found}
    return RouteTable([*found, *(Route(template, "OPTIONS") for template in every)])


def policy_of(files: Mapping[str, bytes]) -> Policy:
    """The policy of these files."""
    return parse(from_bytes(files))


def snapshot_of(files: Mapping[str, bytes]) -> Snapshot:
    """The snapshot of these files over the routes of the shipped policy."""
    return build(policy_of(files), routes())


def write(directory: Path, files: Mapping[str, bytes]) -> Path:
    """Write a policy to a directory."""
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory
