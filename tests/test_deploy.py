"""The deployment files match the program: settings, paths, ports and commands, and real replicas."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
import yaml

from app.assembly import route_table
from app.cli.server.listening import STOP_SECONDS
from app.cli.server.run_directory import SYSTEM
from app.settings import Settings, load
from tests.cli.command import command
from tests.support.balancer import balancer
from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server, eventually

DEPLOY = ROOT / "scripts" / "deploy"
RECIPE = (DEPLOY / "Containerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
KUBERNETES: list[dict[str, Any]] = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
GUIDE = (DEPLOY / "README.md").read_text()
UNIT = [line.partition("=")[::2] for line in (DEPLOY / "authz.service").read_text().splitlines() if "=" in line]
SECRETS = {"AUTHZ_DATABASE_URL": "postgresql://authz@database/authz"}
OURS = ("upgrade", "authz")

pytestmark = pytest.mark.filterwarnings("ignore::litestar.exceptions.LitestarDeprecationWarning")


def of_kind(kind: str) -> dict[str, Any]:
    """The only object of a kind."""
    (found,) = [each for each in KUBERNETES if each["kind"] == kind]
    return found


def pods() -> Iterator[dict[str, Any]]:
    for kind in ("Job", "Deployment"):
        yield of_kind(kind)["spec"]["template"]["spec"]


def steps(word: str) -> list[str]:
    """The arguments of an instruction of the Containerfile, with continued lines joined."""
    return re.findall(rf"^{word} (.+)$", re.sub(r"\\\n\s*", "", RECIPE), re.MULTILINE)


def recipe_env() -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in steps("ENV")[0].split())


def loaded(env: Mapping[str, str]) -> Settings:
    with patch.dict(os.environ, env, clear=True):
        return load()


@pytest.mark.parametrize("file", sorted(file.name for file in DEPLOY.iterdir() if file.is_file()))
def test_every_named_setting_exists(file: str) -> None:
    named = set(re.findall(r"\bAUTHZ_([A-Z_]+)", (DEPLOY / file).read_text()))
    assert named <= {name.upper() for name in Settings.model_fields}


def test_every_named_path_of_the_program_exists() -> None:
    """Also no file names a package index."""
    paths = {route.template for route in route_table().routes if route.method == "GET"}
    (pod,) = [pod for pod in pods() if "ports" in pod["containers"][0]]
    (container,) = pod["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in paths
        assert asked["port"] in [port["name"] for port in container["ports"]]
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz", "a replica that cannot serve gets no traffic"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", "it is not killed for that"
    (check,) = steps("HEALTHCHECK")
    assert set(re.findall(r"http://[^{]+", RECIPE)) == {"http://127.0.0.1:"}
    assert "/healthz" in check


def test_every_command_that_is_run_exists() -> None:
    assert (steps("ENTRYPOINT"), steps("CMD")) == (['["authz"]'], ['["serve"]'])
    run = [pod["containers"][0]["args"] for pod in pods()] + [COMPOSE["services"][name]["command"] for name in OURS]
    assert run == [["db", "upgrade"], ["serve"]] * 2
    for words in run:
        assert command(*words, "--help").returncode == 0, words


def test_the_image_uses_the_lock_files_and_an_unprivileged_user() -> None:
    for words in steps("COPY"):
        if not words.startswith("--from"):
            for source in words.split()[:-1]:
                assert (ROOT / source).exists()
    installs = [step for step in steps("RUN") if " pip install " in step]
    assert [("--require-hashes" in step, "--no-deps" in step) for step in installs] == [(True, False), (False, True)]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", steps("USER")[-1])
    assert steps("EXPOSE") == [recipe_env()["AUTHZ_PORT"]]
    assert all(re.fullmatch(r"python:3\.\d+-slim( AS built)?", base) for base in steps("FROM"))


def test_the_kubernetes_manifest_has_all_required_settings() -> None:
    settings = of_kind("ConfigMap")["data"]
    found = loaded({**recipe_env(), **settings, **SECRETS})
    assert (found.host, found.port) == (
        "0.0.0.0",
        of_kind("Deployment")["spec"]["template"]["spec"]["containers"][0]["ports"][0]["containerPort"],
    )
    assert not {name for name in settings if re.search(r"SECRET|DATABASE", name)}, "secrets are not in a ConfigMap"
    for pod in pods():
        (container,) = pod["containers"]
        assert container["envFrom"] == [
            {"configMapRef": {"name": of_kind("ConfigMap")["metadata"]["name"]}},
            {"secretRef": {"name": "authz-secrets"}},
        ]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" == steps("USER")[-1]
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False
    for name in ("authz-secrets", "authz-policy"):
        assert re.search(rf"kubectl create (secret generic|configmap) {name} ", GUIDE)


def test_replicas_are_discovered_and_drained() -> None:
    deployment = of_kind("Deployment")["spec"]
    pod = deployment["template"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    assert of_kind("Service")["spec"]["selector"] == labels
    budget = of_kind("PodDisruptionBudget")["spec"]
    assert budget["selector"]["matchLabels"] == labels
    assert 0 < budget["minAvailable"] < deployment["replicas"]
    assert deployment["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert of_kind("Job")["spec"]["template"]["metadata"]["labels"] != labels, "the job gets no requests"
    (port,) = of_kind("Service")["spec"]["ports"]
    assert port["targetPort"] in [each["name"] for each in pod["containers"][0]["ports"]]
    drains = int(of_kind("ConfigMap")["data"]["AUTHZ_DRAIN_SECONDS"])
    ready = pod["containers"][0]["readinessProbe"]
    assert drains > ready["periodSeconds"] * ready["failureThreshold"], "by then no client sends requests"
    assert pod["terminationGracePeriodSeconds"] > drains + STOP_SECONDS
    composed = COMPOSE["services"]["authz"]
    grace = int(composed["stop_grace_period"].removesuffix("s"))
    assert grace > int(composed["environment"]["AUTHZ_DRAIN_SECONDS"]) + STOP_SECONDS


def test_the_policy_is_mounted_at_the_configured_directory() -> None:
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    mount, temporary = pod["containers"][0]["volumeMounts"]
    assert mount["mountPath"] == of_kind("ConfigMap")["data"]["AUTHZ_POLICY_DIR"] == recipe_env()["AUTHZ_POLICY_DIR"]
    assert "subPath" not in mount, "a single mounted file is never updated"
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert volumes[mount["name"]]["configMap"] == {"name": "authz-policy"}
    assert temporary["mountPath"] in SYSTEM, "several workers share a directory"
    assert "emptyDir" in volumes[temporary["name"]]
    for name in OURS:
        (mounted,) = COMPOSE["services"][name]["volumes"]
        source, target = mounted.split(":")
        assert (DEPLOY / source).resolve() == ROOT / "policies"
        assert target == recipe_env()["AUTHZ_POLICY_DIR"]


def test_compose_starts_services_in_order_with_all_settings() -> None:
    services = COMPOSE["services"]
    given = re.compile(r"\$\{(\w+):[?-]\}")
    values = {
        "AUTHZ_GATEWAY_SECRETS": "",
        "AUTHZ_PUBLIC_URL": "https://a.example",
        "AUTHZ_JWKS_URL": "https://i.example/k",
    }
    for name in OURS:
        env = {
            key: given.sub(lambda found: values.get(found[1], "x"), value)
            for key, value in services[name]["environment"].items()
        }
        assert loaded({**recipe_env(), **env}).database_url == "postgresql://authz:x@database/authz"
        assert services[name]["read_only"] is True
        assert set(services[name]["tmpfs"]) <= set(SYSTEM)
        assert services[name]["cap_drop"] == ["ALL"]
        assert (DEPLOY / services[name]["build"]["context"]).resolve() == ROOT
        assert (ROOT / services[name]["build"]["dockerfile"]).samefile(DEPLOY / "Containerfile")
    assert set(given.findall((DEPLOY / "compose.yaml").read_text())) <= set(re.findall(r"`(\w+)`", GUIDE))
    order = {name: set(service.get("depends_on", {})) for name, service in services.items()}
    assert order == {"database": set(), "upgrade": {"database"}, "authz": {"upgrade"}, "balancer": {"authz"}}
    assert services["authz"]["deploy"]["replicas"] == of_kind("Deployment")["spec"]["replicas"]
    assert services["balancer"]["volumes"] == ["./nginx.conf:/etc/nginx/nginx.conf:ro"]


def test_the_health_check_recognises_a_live_server(own_server: Server) -> None:
    (check,) = steps("HEALTHCHECK")
    words = yaml.safe_load(check.partition("CMD ")[2])
    env = {"AUTHZ_PORT": own_server.url.rpartition(":")[2]}

    def healthy() -> bool:
        done = subprocess.run([sys.executable, *words[1:]], env=env, capture_output=True, check=False)
        return done.returncode == 0

    assert words[0] == "python"
    assert healthy()
    own_server.stop()
    assert not healthy()


@pytest.fixture
def balanced(server: Server, own_server: Server, tmp_path: Path) -> Iterator[str]:
    """The shipped nginx in front of two replicas; the second is `own_server`."""
    with balancer(tmp_path, [server.url, own_server.url]) as url:
        yield url


def test_the_balancer_distributes_requests_and_skips_a_down_replica(
    balanced: str, own_server: Server, issuer: LiveIssuer
) -> None:
    with httpx.Client(headers={"Authorization": f"Bearer {issuer.token(permissions='catalog:read')}"}) as client:
        for _ in range(8):
            assert client.get(f"{balanced}/api/v1/teams/").status_code == 200
        long = issuer.token(permissions="catalog:read", groups=[f"{number:036}" for number in range(290)])
        headers = {"Authorization": f"Bearer {long}"}
        assert httpx.get(f"{balanced}/api/v1/teams/", headers=headers).status_code == 200
        assert eventually(lambda: "/api/v1/teams" in "\n".join(own_server.lines)), "both are reached"
        for path in ("/gateway/nginx", "/%67ateway/nginx", "/gateway/../gateway/nginx"):
            assert client.get(f"{balanced}{path}").status_code == 404
        assert (
            client.get(f"{balanced}//api/v1//teams/").status_code
            == client.get(f"{own_server.url}//api/v1//teams/").status_code
        )
        own_server.stop()
        for _ in range(12):
            assert client.get(f"{balanced}/api/v1/teams/").status_code == 200


def test_a_balancer_without_replicas_answers_as_the_program_does(tmp_path: Path, own_server: Server) -> None:
    with balancer(tmp_path, [own_server.url]) as url:
        own_server.stop()
        answer = httpx.get(f"{url}/api/v1/teams/")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json() == {"detail": "The service does not answer now."}


def test_compose_trusts_its_network_and_kubernetes_private_addresses() -> None:
    (made,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    assert COMPOSE["x-authz"]["environment"]["AUTHZ_TRUSTED_PROXIES"] == made["subnet"]
    trusted = loaded({**recipe_env(), **of_kind("ConfigMap")["data"], **SECRETS}).trusted_proxies
    assert trusted
    assert all(network.is_private or str(network) == "100.64.0.0/10" for network in trusted)


def test_each_nginx_configuration_states_its_minimum_version() -> None:
    for file in (DEPLOY / "nginx.conf", ROOT / "scripts/gateways/nginx.conf"):
        head = file.read_text().partition("\n\n")[0]
        (version,) = re.findall(r"nginx (1\.\d+(?:\.\d+)?)(?: \(Debian 12\) and newer| or newer)", head)
        needs_resolve = " resolve " in file.read_text()
        assert version == ("1.27.3" if needs_resolve else "1.22")


def test_a_changed_config_map_applies_atomically(issuer: LiveIssuer, tmp_path: Path) -> None:
    """As Kubernetes mounts it: each file is a link into a directory that is swapped atomically."""
    mount = tmp_path / "policies"
    mount.mkdir()
    files = {file.name: file.read_bytes() for file in (ROOT / "policies").iterdir() if file.is_file()}

    def arrive(name: str) -> None:
        (mount / name).mkdir()
        for file, content in files.items():
            (mount / name / file).write_bytes(content)
        (mount / "..data_tmp").symlink_to(name)
        (mount / "..data_tmp").rename(mount / "..data")

    arrive("..2026_11_24_10_00_00.1")
    for file in files:
        (mount / file).symlink_to(f"..data/{file}")
    with Server(tmp_path, jwks_url=issuer.jwks_url, issuer=issuer.url) as server:
        client = server.client(issuer.token(permissions="catalog:read"))
        assert client.get("/api/v1/teams/").status_code == 200
        row = b"p, catalog:read, /api/v1/teams/**"
        assert row in files["catalog.csv"]
        files["catalog.csv"] = files["catalog.csv"].replace(row, row.replace(b"read", b"read policies:read"))
        arrive("..2026_11_24_11_00_00.2")
        assert eventually(lambda: client.get("/api/v1/teams/").status_code == 403, 10)
        client.close()
    assert not [entry for entry in server.log if entry.get("level") == "error"]


def test_the_unit_of_systemd_matches_the_program_and_the_page() -> None:
    unit = dict(UNIT)
    assert [value.split() for name, value in UNIT if name.startswith("ExecStart")] == [
        ["/opt/authz/bin/authz", "db", "upgrade"],
        ["/opt/authz/bin/authz", "serve"],
    ]
    assert float(unit["TimeoutStopSec"]) > STOP_SECONDS
    assert unit["SystemCallErrorNumber"] == "EPERM", "the default kills a process that makes another call"
    part = GUIDE.partition("## systemd\n")[2].partition("\n## ")[0]
    for name in ("User", "WorkingDirectory", "EnvironmentFile"):
        assert f"`{unit[name]}" in part, name
    assert f"`{unit['WorkingDirectory']}/{Settings.model_fields['policy_dir'].default}`" in part
