"""Fragments that an OpenAPI document references: part of the policy, and the only other files that are read."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.policy.engine.live import LivePolicy, Reload
from app.policy.engine.watch import signature, watch
from app.policy.language.directory import folders, raw_files, read
from app.policy.language.fault import PolicyRefused
from app.policy.language.file_names import is_fragment
from app.policy.language.load import load, parse
from app.policy.language.source import from_bytes
from app.policy.language.write import PolicyNotWritten
from app.policy.language.write import write as write_files
from tests.policy.documents import document, endpoints, service
from tests.policy.documents import read as read_service
from tests.policy.shipped import PERSON, routes, shipped_files, write

DOCUMENT = document(
    "  /pets: {$ref: './paths/pets.yaml'}\n"
    "  /toys/{id}:\n    $ref: paths/toys.json#/items/~1toys\n"
    "  /a: {$ref: ./more.yml}\n"
)
FRAGMENTS = {
    "upstreams/paths/pets.yaml": "get: {responses: {}}\nput: {servers: [{url: /v2}]}\n",
    "upstreams/paths/toys.json": '{"items": {"/toys": {"$ref": "deep/toys.yaml#/toys"}}}',
    "upstreams/paths/deep/toys.yaml": "toys: {delete: {$ref: '#/operation'}}\noperation: {servers: [{url: /v3}]}\n",
    "upstreams/more.yml": "post: {}\n",
}
FILES = {"upstreams/x.openapi.yaml": DOCUMENT, **FRAGMENTS}


def _files(**changed: str) -> dict[str, bytes]:
    return {**shipped_files(), **{name: text.encode() for name, text in {**FILES, **changed}.items()}}


def test_references_to_files_next_to_the_document_are_resolved() -> None:
    found = service(DOCUMENT, more=FRAGMENTS)
    assert endpoints(found) == {"GET /pets", "PUT /v2/pets", "DELETE /v3/toys/{id}", "POST /a"}
    assert set(found.files) == FRAGMENTS.keys()
    assert not found.findings


@pytest.mark.parametrize(
    "reference",
    [
        *("../model.conf", "paths/../../model.conf", "./paths/./../pets.yaml", "/etc/passwd", "file:///etc/passwd"),
        *(
            "https://a.example/pets.yaml",
            "//a.example/pets.yaml",
            "%2e%2e/model.conf",
            "..%2fmodel.conf",
            "paths\\pets.yaml",
        ),
        *("paths//pets.yaml", "./paths", "paths/pets.yaml#get", "paths/pets.yaml#/nothing", "Paths/pets.yaml"),
        *("./paths/loop.yaml", "./x.openapi.yaml#/paths/~1a", "./paths/broken.yaml", "./paths/text.yaml"),
    ],
)
def test_any_other_reference_is_refused(reference: str) -> None:
    more = {
        **{name: text for name, text in FRAGMENTS.items() if "/paths/" in name},
        "upstreams/paths/loop.yaml": "$ref: ./loop.yaml\n",
        "upstreams/paths/broken.yaml": "get: [\n",
        "upstreams/paths/text.yaml": "get\n",
        "model.conf": "get: {}\n",
    }
    found = service(document(f"  /a: {{$ref: '{reference}'}}\n  /b: {{get: {{}}}}"), more=more)
    assert endpoints(found) == {"GET /b"}
    assert [fault.code for fault in found.findings] == ["unread-path"]
    assert "x:/a" in found.closed


def test_a_chain_of_references_is_bounded() -> None:
    more = {f"upstreams/p/{number}.yaml": f"$ref: {number + 1}.yaml\n" for number in range(20)}
    found = service(
        document("  /a: {$ref: ./p/0.yaml}\n  /b: {get: {}}"), more={**more, "upstreams/p/20.yaml": "get: {}"}
    )
    assert endpoints(found) == {"GET /b"}


def test_fragments_are_part_of_the_revision_and_are_read_again_when_they_change(tmp_path: Path) -> None:
    before = load(write(tmp_path, _files()))
    assert FRAGMENTS.keys() <= before.source.files.keys()
    seen = signature(tmp_path)
    (tmp_path / "upstreams/paths/deep/toys.yaml").write_text("toys: {patch: {}}\n")
    assert signature(tmp_path) != seen
    after = parse(read(tmp_path), before)
    assert after.revision != before.revision
    assert endpoints(after.services[0]) == {"GET /pets", "PUT /v2/pets", "PATCH /toys/{id}", "POST /a"}
    assert after.services == parse(read(tmp_path)).services
    # A revision is written back completely.
    write_files(tmp_path, {name: text.encode() for name, text in before.source.files.items()})
    assert load(tmp_path).services == before.services
    write_files(tmp_path, shipped_files())
    assert raw_files(tmp_path).keys() == shipped_files().keys()


@pytest.mark.anyio
async def test_a_changed_fragment_applies_and_is_reported(tmp_path: Path) -> None:
    rows = "p, auth:jwt, x:/**, GET|PUT|POST|DELETE|PATCH, allow\n# end\n"
    given = {"a.csv": rows, "upstreams/x.openapi.yaml": document("  /a: {$ref: ./p/a.yaml}\n  /b: {$ref: ./p/b.yaml}")}
    given |= {"upstreams/p/a.yaml": "get: {}\nput: {}\npatch: {}\n", "upstreams/p/b.yaml": "post: {}\ndelete: {}\n"}
    live = LivePolicy(
        write(tmp_path, {**shipped_files(), **{name: text.encode() for name, text in given.items()}}), routes()
    )
    told: list[Reload] = []
    live.on_reload(told.append)
    stop = asyncio.Event()
    task = asyncio.create_task(watch(live, stop))
    (tmp_path / "upstreams/p/a.yaml").write_text("get: {}\nput: {}\npost: {}\npatch: {}\n")
    async with asyncio.timeout(20):
        while not told:
            await asyncio.sleep(0.01)
    stop.set()
    await task
    assert [str(change) for change in told[0].changed] == ["added endpoint POST x:/a (upstreams/p/a.yaml)"]
    assert live.active.decide(PERSON, "x:/a", "POST")


@pytest.mark.parametrize("text", ["openapi: 3.1.0\n", "openapi: 3.1.0 # orders.yaml\n"])
def test_an_unreferenced_file_is_stray(text: str) -> None:
    texts = {**FILES, "upstreams/orders.yaml": text, "upstreams/schemas/pet.yaml": "type: object\n"}
    more = {name: texts[name] for name in texts.keys() - FILES.keys()}
    _, faults = read_service(DOCUMENT, more={**more, "teams.csv": "# orders.yaml\n"})
    assert [(fault.code, fault.file) for fault in faults] == [("stray-file", "upstreams/orders.yaml")]
    assert "`orders.openapi.yaml`" in faults[0].hint


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("upstreams/a.yaml", True),
        ("upstreams/a/b/c/d.json", True),
        ("upstreams/a/b/c/d/e.json", False),
        ("upstreams/a/x.openapi.yaml", True),
        ("upstreams/x.openapi.yaml", False),
        ("upstreams/x.openapi.yml", False),
        ("upstreams/a/.b/c.yaml", False),
        ("upstreams/a/../c.yaml", False),
        ("upstreams/a/b.csv", False),
        ("upstreams//b.yaml", False),
        ("entities/a/b.yaml", False),
    ],
)
def test_fragments_are_recognised_by_name(name: str, expected: bool) -> None:
    assert is_fragment(name) is expected


def test_a_link_that_leads_out_of_the_directory_is_neither_read_nor_written(tmp_path: Path) -> None:
    policy, outside = tmp_path / "policies", tmp_path / "outside"
    outside.mkdir()
    (outside / "pets.yaml").write_text("get: {}\n")
    write(policy, {name: data for name, data in _files().items() if "/paths/" not in name})
    (policy / "upstreams/paths").symlink_to(outside, target_is_directory=True)
    with pytest.raises(PolicyRefused, match="a link that leads out of the directory"):
        raw_files(policy)
    with pytest.raises(PolicyNotWritten, match="a link that leads out of the directory"):
        write_files(policy, _files())
    assert (outside / "pets.yaml").read_text() == "get: {}\n"
    assert [path.name for path in outside.iterdir()] == ["pets.yaml"]


def test_deeply_nested_directories_are_refused(tmp_path: Path) -> None:
    write(tmp_path, _files())
    (tmp_path / "upstreams/paths/loop").symlink_to("..", target_is_directory=True)
    assert len(folders(tmp_path)) <= 100
    for number in range(120):
        (tmp_path / f"upstreams/many{number}").mkdir()
    assert len(folders(tmp_path)) <= 100
    with pytest.raises(PolicyRefused, match="more than 100 folders"):
        raw_files(tmp_path)


def test_a_revision_with_a_name_that_leads_elsewhere_is_refused() -> None:
    source = from_bytes(_files(**{"upstreams/../../x.yaml": "get: {}"}))
    assert [fault.code for fault in source.faults] == ["stray-file"]
