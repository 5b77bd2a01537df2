"""The SDK for TypeScript as it is packed and installed: its page, its types, its names, and what it hides."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

from scripts.sdk.python.griddy import Griddy, __version__
from scripts.sdk.python.griddy._resources import ApiKeys, Resource
from tests.clients.griddy_package import TYPESCRIPT, place
from tests.support.issuer import LiveIssuer
from tests.support.node_packages import NODE, node_packages
from tests.support.server import Server

README = (TYPESCRIPT / "README.md").read_text()
PROGRAMS = re.findall(r"```typescript\n(.*?)```", README, flags=re.DOTALL)
EXPECTED = ("2025-02-09T23:30:00Z 40 22", "Cardinals\n", "National Football League\ntrue\n")


def run(program: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [NODE, program], env={**os.environ, **env}, capture_output=True, text=True, timeout=60, check=False
    )


def test_each_program_of_the_page_runs(sample_server: Server, issuer: LiveIssuer, installed: Path) -> None:
    assert len(PROGRAMS) == len(EXPECTED)
    env = {"GRIDDY_URL": sample_server.url, "GRIDDY_TOKEN": issuer.token(permissions=["catalog:read"])}
    for number, expected in enumerate(EXPECTED):
        done = run(program(installed, number), **env)
        assert (done.returncode, done.stderr) == (0, ""), PROGRAMS[number]
        assert expected in done.stdout
    refused = run(program(installed, 0), **{**env, "GRIDDY_TOKEN": issuer.token(permissions=[])})
    assert (refused.returncode, refused.stderr) == (1, "ask for more scope: catalog:read\n")


def program(installed: Path, number: int) -> Path:
    """A program of the page, in a file."""
    return place(installed, f"page-{number}.mts", PROGRAMS[number])


NAMES = """
import { Griddy } from "griddy";

const griddy = new Griddy("https://api.example", "token");
const methods = (each) => Object.getOwnPropertyNames(Object.getPrototypeOf(each));
console.log(JSON.stringify([Object.keys(griddy), ...[griddy, griddy.teams, griddy.apiKeys].map(methods)]));
"""


def test_both_sdks_have_the_same_names(installed: Path) -> None:
    client, *methods = json.loads(run(place(installed, "names.mts", NAMES)).stdout)
    with Griddy("https://api.example", "token") as griddy:
        assert set(client) == names(vars(griddy))
        for found, known in zip(methods, (Griddy, Resource, ApiKeys), strict=True):
            assert set(found) == names(vars(known)) - {"close"} | {"constructor"}  # `fetch` keeps the connections
    package = json.loads((installed / "node_modules" / "griddy" / "package.json").read_text())
    assert package["version"] == __version__
    assert package.keys().isdisjoint({"dependencies", "optionalDependencies", "peerDependencies"})


def names(known: Iterable[str]) -> set[str]:
    """Public names as they are written in TypeScript."""
    return {re.sub(r"_([a-z])", lambda match: match[1].upper(), name) for name in known if not name.startswith("_")}


def test_the_page_installs_the_packed_file(installed: Path) -> None:
    (packed,) = installed.parent.glob("*.tgz")
    commands = re.findall(r"^    \$ (.+)$", README, flags=re.MULTILINE)
    assert commands[1:3] == ["npm ci --ignore-scripts", "npm pack"]
    assert commands[-1].endswith(f" npm install ~/griddy-authz/scripts/sdk/typescript/{packed.name}")
    assert {file.name for file in (installed / "node_modules" / "griddy").iterdir()} == {
        "LICENSE",
        "README.md",
        "dist",
        "package.json",
    }


# Lines that must be refused stand below `@ts-expect-error`.
CONSUMER = """
import { type ApiKeys, Griddy, GriddyError, type RetryPolicy, type Team, type TeamPatch } from "griddy";

declare const document: { title: string };
const retry: RetryPolicy = { retries: 0 };
export const griddy = new Griddy("https://api.example", async () => "token", { retry, timeoutSeconds: 1 });
const keys: ApiKeys = griddy.apiKeys;
export const first: Promise<Team> = griddy.teams.retrieve(1);
export const rows: AsyncIterable<Team> = griddy.teams.list({ signal: new AbortController().signal });
const patch: TeamPatch = { nickname: "Cardinals" };
void griddy.teams.change(1, patch);
void griddy.tags.create({ name: "rain" });
void griddy.tags.create({ name: "rain", description: null });
void keys.issue("program").then(({ plaintext, api_key }) => (document.title = plaintext + api_key.id.toFixed()));
void griddy.request<{ rows: number[] }>("GET", "/x").then(({ rows }) => rows.at(0));
void griddy.drives(1).list().next().then(({ value }) => value?.result === "touchdown");
export const detail = (error: unknown): string => (error instanceof GriddyError ? error.message : "");

// @ts-expect-error: an id is a number
void griddy.teams.retrieve("1");
// @ts-expect-error: a required field
void griddy.tags.create({});
// @ts-expect-error: an unknown field
void griddy.tags.create({ name: "rain", colour: "blue" });
// @ts-expect-error: one of two environments
void keys.issue("program", [], { environment: "staging" });
// @ts-expect-error: another result of a drive
void griddy.drives(1).list().next().then(({ value }) => value?.result === "goal");
// @ts-expect-error: the token is nowhere to be read
void griddy.token;
"""
STRICT = [
    "--strict",
    "--exactOptionalPropertyTypes",
    "--noUncheckedIndexedAccess",
    "--noPropertyAccessFromIndexSignature",
]


def test_a_strict_program_type_checks(installed: Path) -> None:
    programs = [program(installed, number) for number in range(len(PROGRAMS))]
    programs.append(place(installed, "consumer.mts", CONSUMER))
    environment = "declare const process: { env: { GRIDDY_URL?: string; GRIDDY_TOKEN?: string }; exitCode: number };\n"
    programs.append(place(installed, "environment.d.ts", environment))
    tsc = node_packages(TYPESCRIPT) / "node_modules" / ".bin" / "tsc"
    options = [*STRICT, "--noEmit", "--module", "nodenext", "--target", "es2022", "--lib", "es2022,dom"]
    done = subprocess.run(
        [NODE, tsc, *options, *(each.name for each in programs)],
        cwd=installed,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


HIDING = """
import { inspect } from "node:util";
import { ConnectionFailed, Griddy } from "griddy";

const token = "grd_test_5ec7e75ec7e7";
const retry = { retries: 0 };
const griddy = new Griddy(process.env.GRIDDY_URL ?? "", token, { retry });
const closed = new Griddy("http://127.0.0.1:9", token, { retry });
const errors = [];
for (const each of [griddy, closed]) await each.teams.retrieve(1).catch((error) => errors.push(error));
const shown = [griddy, griddy.teams, griddy.apiKeys, griddy.drives(1), ...errors].flatMap((each) => [
  inspect(each, { depth: Infinity, showHidden: true, getters: true }),
  JSON.stringify(each),
  String(each),
]);
if (errors.length !== 2 || shown.some((text) => text.includes(token))) throw new Error(shown.join("\\n"));

const signal = AbortSignal.abort(new RangeError("enough"));
for (const ended of [griddy.request("GET", "/x", { signal }), griddy.teams.list({ signal }).next()]) {
  const error = await ended.catch((reason) => reason);
  if (error !== signal.reason) throw error;
}
const never = new Griddy("http://127.0.0.1:9", () => new Promise(() => {}));
const waiting = new Griddy("http://127.0.0.1:9", token, { retry: { firstWaitSeconds: 20 } });
for (const client of [never, waiting]) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(signal.reason), 50);
  const error = await client.request("GET", "/x", { signal: controller.signal }).catch((reason) => reason);
  if (error !== signal.reason) throw error;
}
for (const fetch of [() => new Promise(() => {}), async () => new Response(new ReadableStream({}))]) {
  const stuck = new Griddy("http://127.0.0.1:9", token, { retry, fetch, timeoutSeconds: 0.05 });
  const error = await stuck.request("GET", "/x").catch((reason) => reason);
  if (!(error instanceof ConnectionFailed)) throw error;
}
console.log(inspect(griddy));
"""


def test_a_client_hides_its_token_and_ends_with_its_signal_or_in_time(server: Server, installed: Path) -> None:
    done = run(place(installed, "hiding.mts", HIDING), GRIDDY_URL=server.url)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", f"Griddy({server.url})\n")
