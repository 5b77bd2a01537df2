"""What no editor should send, and files that no policy should have: the server shows what the check prints."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.policy.malformed import MALFORMED
from tests.policy.shipped import shipped_files, write
from tests.support.lsp_process import LspProcess
from tests.support.trials.lsp import compared, damaged

UTF_32 = {"general": {"positionEncodings": ["utf-32"]}}

# Prints from a thread once the routes are read, which is after the server took standard output for itself.
NOISE = """\
import sys, threading, time
def say():
    while "app.http.declared_routes" not in sys.modules:
        time.sleep(0.001)
    print("noise", flush=True)
threading.Thread(target=say, daemon=True).start()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LspProcess]:
    """A server for the shipped policy, in the directory `policies`, that all tests of this module share.

    A module of it prints to standard output, which must not be among the messages.
    """
    root, noisy = tmp_path_factory.mktemp("workspace").resolve(), tmp_path_factory.mktemp("noisy")
    write(root / "policies", shipped_files())
    (noisy / "sitecustomize.py").write_text(NOISE)
    with LspProcess(root, capabilities=UTF_32, PYTHONPATH=str(noisy)) as started:
        assert started.capabilities["positionEncoding"] == "utf-32"
        yield started
        assert started.stop() == 0
    log = started.log.read_text()
    assert "noise" in log
    assert "cannot be examined" not in log


def is_well(server: LspProcess) -> bool:
    """Whether the server shows the faults of a text."""
    directory = server.root / "policies"
    return compared(server, directory, "extra.csv", b"p, catalog:read, /x, GET, alow\n# end\n")[1] == []


def test_a_sample_of_refused_policies_has_the_faults_of_the_check(server: LspProcess) -> None:
    chosen = random.Random(18)
    sample = [(each.name, each.file, each.data) for each in chosen.sample(MALFORMED, 6)]
    sample += [("damage", *damaged(chosen)) for _ in range(4)]
    differing = {name: compared(server, server.root / "policies", file, data)[1] for name, file, data in sample}
    assert not {name: found for name, found in differing.items() if found}


@pytest.mark.parametrize(
    "text",
    ["", "\n" * 3_000, "p, " * 100_000, "x" * 2_000_000, '"' * 5_000, "\0\r\ufeff\u2028", "p, \ud83d" + "a, /x\n"],
    ids=["nothing", "lines", "cells", "a long line", "quotes", "invisible", "half a character"],
)
def test_any_text_is_answered(server: LspProcess, text: str) -> None:
    uri = server.open(server.root / "policies" / "extra.csv", text)
    assert server.diagnostics(uri)
    for line, character in ((0, 0), (0, 3), (1, 2**31 - 1), (2**31 - 1, 0)):
        place = {"textDocument": {"uri": uri}, "position": {"line": line, "character": character}}
        for method in ("completion", "hover", "definition", "prepareRename"):
            server.request(f"textDocument/{method}", place)
        server.request("textDocument/codeAction", {
            "textDocument": {"uri": uri},
            "range": {"start": place["position"], "end": place["position"]},
            "context": {"diagnostics": []},
        })  # fmt: skip
    server.close(uri)


def test_half_a_character_anywhere_is_answered(server: LspProcess) -> None:
    """In one file, while another file is written."""
    directory = server.root / "policies"
    texts = {
        "tests/half.yaml": "cases:\n  - name: \ud83d\n    as: r",
        "upstreams/half.openapi.yaml": "openapi: 3.1.0\ninfo:\n  title: \ud83d",
        "extra.csv": "# \ud83d\n\np, role:r",
    }
    opened = [server.open(directory / file, text) for file, text in texts.items()]
    for uri in opened:
        place = {"textDocument": {"uri": uri}, "position": {"line": 2, "character": 9}}
        for method in ("completion", "hover", "definition", "prepareRename"):
            server.request(f"textDocument/{method}", place)
    for uri in opened:
        server.close(uri)
    assert is_well(server)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"[" * 20_000,
        b'{"jsonrpc": "2.0"}',
        b'{"jsonrpc": "2.0", "method": "textDocument/didOpen"}',
        b'{"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": 7}}',
        b'{"jsonrpc": "2.0", "method": "textDocument/didChange", "params": {"textDocument": {"uri": "file:///x", '
        b'"version": 1}, "contentChanges": [{"text": "x"}]}}',
        b'{"jsonrpc": "2.0", "method": "no/such"}',
        b"\xff\xfe",
    ],
)
def test_a_wrong_message_is_no_end(server: LspProcess, body: bytes) -> None:
    server.send_bytes(body)
    assert is_well(server)


def test_files_may_be_links_in_a_loop_folders_and_not_utf_8_and_may_vanish(server: LspProcess) -> None:
    directory = server.root / "policies"
    loop, folder, latin = directory / "loop.csv", directory / "folder.csv", directory / "latin.csv"
    loop.symlink_to(loop)
    folder.mkdir()
    latin.write_bytes("# für\n# end\n".encode("latin-1"))
    uri = server.open(directory / "catalog.csv", shipped_files()["catalog.csv"].decode())
    shown = server.all_diagnostics(uri)
    assert {address.rpartition("/")[2] for address in shown} == {"loop.csv", "folder.csv", "latin.csv"}
    loop.unlink()
    folder.rmdir()
    latin.unlink()
    (directory / "catalog.csv").unlink()  # the text in the editor stays a part of the policy
    server.change(uri, shipped_files()["catalog.csv"].decode() + "\n")
    assert {each["code"] for each in server.diagnostics(uri)} == {"cut-short", "early-end"}
    write(directory, {"catalog.csv": shipped_files()["catalog.csv"]})
    server.close(uri)
    assert is_well(server)


def test_a_directory_may_vanish_and_come_back(server: LspProcess) -> None:
    directory = server.root / "policies"
    away = directory.rename(Path(f"{directory}-away"))
    uri = server.open(directory / "catalog.csv", shipped_files()["catalog.csv"].decode())
    assert [each["code"] for items in server.all_diagnostics(uri).values() for each in items] == ["no-directory"]
    away.rename(directory)
    server.close(uri)
    assert is_well(server)
