"""Policies with large files other than rows: 100,000 entities, and OpenAPI documents of megabytes.

Each is reloaded in a process with an event loop, as by `authz serve`: the seconds, and the longest pause of the loop.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import yaml

from app.assembly import route_table as shipped_routes
from app.handlers import handlers
from app.policy.engine.live import LivePolicy
from app.policy.gc_control import use_one_heap
from app.policy.routing.routes import Route, RouteTable
from scripts.bench.measuring import Options, Row, spread
from scripts.bench.parts.reload import longest_pause
from scripts.bench.served import write_policy

_ENTITIES = {True: 200, False: 100_000}  # by whether it is tiny
_IN_A_FILE = 2_000
_ENDPOINTS = {True: 20, False: 3_000}
_DOCUMENT_BYTES = 5_000_000
_SMALL = 2_000  # endpoints

# Changes files of a policy in a round.
_Edit = Callable[[Path, int], None]


def measure(options: Options) -> Iterator[Row]:
    """Measure in a separate process, for its memory."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield from pool.submit(_measured, options).result()


def _measured(options: Options) -> list[Row]:
    use_one_heap()  # as `authz serve` does
    assert handlers()
    return [*_of_entities(options), *_of_documents(options)]


def _of_entities(options: Options) -> Iterator[Row]:
    count = _ENTITIES[options.tiny]
    for style, entity in _STYLES.items():
        files = {
            f"entities/part{start:06}.yaml": _entities(range(start, min(start + _IN_A_FILE, count)), entity)
            for start in range(0, count, _IN_A_FILE)
        }
        edits = {"a row changed": _edit_row, "a file of them changed": _edit_one, "all of them changed": _edit_all}
        yield from _rows(options, f"{count:,} entities, {style}", files, edits, "under 4 s")


def _of_documents(options: Options) -> Iterator[Row]:
    count = _ENDPOINTS[options.tiny]
    rows = "p, catalog:read, big:/v1/**, GET|PUT, allow\n# end\n"
    big = _document(count, 0 if options.tiny else _DOCUMENT_BYTES)
    small = _document(min(count, _SMALL), 0)
    edits = {"it changed": _edit_document}
    for what, text, ending, goal in (
        (f"a document with {min(count, _SMALL):,} endpoints", json.dumps(small), "json", "under 2 s"),
        (f"a document of 5 MB with {count:,} endpoints, JSON", json.dumps(big), "json", "under 3 s"),
        (f"a document of 5 MB with {count:,} endpoints, YAML", _as_yaml(big), "yaml", "under 3 s"),
    ):
        yield from _rows(options, what, {f"upstreams/big.openapi.{ending}": text, "big.csv": rows}, edits, goal)


def _rows(
    options: Options, what: str, files: Mapping[str, str], edits: Mapping[str, _Edit], goal: str
) -> Iterator[Row]:
    """The times to load the files, and to reload them after each edit."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place, "policies")
        write_policy(directory, 1)
        for name, text in files.items():
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_text(text)
        table = RouteTable([*shipped_routes().routes, Route("/bench/{number}", "GET")])
        first = []
        for _ in range(options.rounds):
            started = time.perf_counter()
            live = LivePolicy(directory, table)
            first.append(time.perf_counter() - started)
        yield Row("files", f"{what}: loaded, checked, built", "s", spread(first), goal)
        for change, edit in edits.items():
            seconds, pauses = asyncio.run(_reloads(options, live, edit))
            yield Row("files", f"{what}: loaded again after {change}", "s", spread(seconds), goal)
            yield Row("files", f"{what}: longest pause meanwhile", "ms", spread(pauses), "at most 20 ms")


async def _reloads(options: Options, live: LivePolicy, edit: _Edit) -> tuple[list[float], list[float]]:
    seconds, pauses = [], []
    for number in range(options.rounds):
        edit(live.directory, number)
        started = time.perf_counter()
        reload = asyncio.create_task(live.reload())
        pauses.append(await longest_pause(reload) * 1000)
        if (outcome := await reload).outcome != "swapped":
            raise RuntimeError(f"{outcome.outcome}: " + "; ".join(map(str, outcome.faults[:3])))
        seconds.append(time.perf_counter() - started)
        del outcome
    return seconds, pauses


_STYLES: Mapping[str, Callable[[int], str]] = {
    "one on a line": lambda number: (
        f"  - {{type: record, id: record-{number}, properties: {{status: active, owner: user_{number % 997}}}}}\n"
    ),
    "a key on a line": lambda number: (
        f"  - type: record\n    id: record-{number}\n"
        f"    properties:\n      status: active\n      owner: user_{number % 997}\n"
    ),
}


def _entities(numbers: range, entity: Callable[[int], str]) -> str:
    return "resources:\n" + "".join(map(entity, numbers)) + "# end\n"


def _edit_row(directory: Path, number: int) -> None:
    file = directory / "catalog.csv"
    file.write_text(f"# {number}\n{file.read_text()}")


def _edit_one(directory: Path, number: int) -> None:
    _edit_entities(min(directory.glob("entities/*")), number)


def _edit_all(directory: Path, number: int) -> None:
    for file in directory.glob("entities/*"):
        _edit_entities(file, number)


def _edit_entities(file: Path, number: int) -> None:
    old, new = ("active", "archived") if "active" in file.read_text() else ("archived", "active")
    file.write_text(f"# {number}\n" + file.read_text().replace(f"status: {old}", f"status: {new}"))


def _edit_document(directory: Path, number: int) -> None:
    (file,) = directory.glob("upstreams/big.*")
    text = file.read_text()
    file.write_text(text.replace("title", f"x-round{number}", 1) if "title" in text else text + " ")


def _document(endpoints: int, size: int) -> dict[str, object]:
    """A document with two methods per path, padded to a size with ignored content."""
    words = "What this operation does, in a sentence. " * max(size // max(endpoints, 1) // 90, 1)
    operation = {
        "operationId": "operation",
        "description": words,
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "responses": {"200": {"description": words, "content": {"application/json": {"schema": {"type": "object"}}}}},
    }
    paths = {
        f"/area{number % 40}/things{number}/{{id}}": {"get": operation, "put": operation}
        for number in range(max(endpoints // 2, 1))
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": "Big", "version": "1"},
        "servers": [{"url": "https://big.example.com/v1"}],
        "paths": paths,
    }


def _as_yaml(document: dict[str, object]) -> str:
    # Through JSON, so that no object is shared, which YAML would write as an alias.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    return str(yaml.dump(json.loads(json.dumps(document)), Dumper=dumper, sort_keys=False))
