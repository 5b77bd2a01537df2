"""After any edits, a policy that is parsed with the one before it is the same as one that is parsed alone."""

from __future__ import annotations

import random

import pytest

from app.policy.language.entities import Known
from app.policy.language.fault import PolicyRefused
from app.policy.language.load import Policy, parse
from app.policy.language.source import from_bytes
from tests.policy.documents import document
from tests.policy.small import files as small_files

EDITS = 50  # of each sequence
_MODEL = small_files()["model.conf"]
_NAMES = ("a:read", "a:write", "b:read")


def _catalog(*names: str, grants: str = "g") -> str:
    entries = "".join(f'["{name}"]\ntitle = "t"\ngrants = "{grants}"\n' for name in names)
    return f"{entries}# end\n"


def _rows(*rows: str) -> str:
    return "".join(f"{row}\n" for row in rows) + "# end\n"


def _cases(endpoint: str, held: str = "auth:jwt") -> str:
    return f"cases:\n  - as: {held}\n    deny:\n      - {endpoint}\n# end\n"


def _entity(kind: str, identity: str, **properties: str) -> str:
    inside = ", ".join(f"{name}: {value}" for name, value in properties.items())
    return f"- {{type: {kind}, id: {identity}, properties: {{{inside}}}}}\n"


# The texts that the files of a kind can have. Some are faults alone, others with certain texts of other files.
TEXTS = {
    "catalog": (_catalog(*_NAMES), _catalog(*_NAMES[:2]), _catalog(*_NAMES, grants="h"), _catalog("c:read")),
    "rows": (
        _rows("p, a:read, /x, GET, allow"),
        _rows("p, b:read, o:/pets, GET, allow", "p, a:write, o:/pets/**, GET, deny"),
        _rows("g, role:r, role:s", "p, role:s, /y, GET, allow"),
        _rows("g, role:s, role:r"),
        _rows("g, role:s, a:read"),
        _rows("p, c:read, /y, GET|POST, allow, resource.type == 'route'"),
        _rows("p, auth:oauth, scope:a:write, ask, allow"),
    ),
    "cases": (
        _cases("GET /x"),
        _cases("GET /x", "auth:jwt b:read"),
        _cases("GET /x: rows1.csv:1"),
        _cases("GET /x: rows2.csv"),
        _cases("GET /x: lacks a:write"),
    ),
    "entities": (
        f"resources:\n{_entity('record', 'r', status='active')}# end\n",
        f"resources:\n{_entity('record', 'r', status='closed')}{_entity('record', 's')}# end\n",
        f"subjects:\n{_entity('user', 'u', permissions='b:read')}# end\n",
        f"subjects:\n{_entity('user', 'v', permissions='a:read')}resources:\n{_entity('thing', 't')}# end\n",
    ),
    "document": (
        document("  /pets: {get: {}}"),
        document("  /pets: {$ref: ./parts/f1.yaml}\n  /toys: {get: {}}"),
        document("  /pets: {get: {$ref: './parts/f2.yaml#/get'}}\n  /toys: {$ref: ./parts/f1.yaml}"),
        document("  /pets/{id}: {$ref: ./parts/f2.yaml}\n  /pets/{no}: {post: {}}"),
    ),
    "fragment": ("get: {}\n", "put: {}\n", "get: [\n", "$ref: ./f2.yaml\n", "get: {servers: [{url: /v2}]}\n"),
    "issuers": (
        '[partner]\nissuer = "https://a.example"\nsubject_prefix = "a:"\n# end\n',
        '[partner]\nissuer = "https://b.example"\nsubject_prefix = "b:"\n# end\n',
    ),
}
PLACES = {
    "permissions.toml": "catalog",
    "issuers.toml": "issuers",
    **{f"rows{number}.csv": "rows" for number in range(1, 4)},
    **{f"tests/cases{number}.yaml": "cases" for number in range(1, 3)},
    **{f"entities/e{number}.yaml": "entities" for number in range(1, 3)},
    **{f"upstreams/{name}.openapi.yaml": "document" for name in ("o", "p")},
    "upstreams/o.openapi.json": "document",
    **{f"upstreams/parts/f{number}.yaml": "fragment" for number in range(1, 3)},
}


def _content(entities: Known) -> list[tuple[str, str]]:
    return [(str(entity), entity.place) for entity in entities.values()]


def outcome(files: dict[str, bytes], before: Policy | None) -> tuple[object, Policy | None]:
    """Everything that comes from the files, or the faults; and the policy, if there is one."""
    try:
        found = parse(from_bytes(files), before)
    except PolicyRefused as refused:
        return refused.faults, None
    content = (
        *(found.source, found.catalog, found.rules, found.memberships, found.roles, found.cases, found.services),
        *(_content(entities) for entities in (found.entities.subjects, found.entities.resources)),
        found.issuers,
    )
    return content, found


def _edit_lines(text: str, rng: random.Random) -> str:
    """Add rows, comments or blank lines to a file of rows, and move, repeat or remove some."""
    lines = text.split("\n")[:-2]
    for _ in range(rng.randint(1, 3)):
        more = rng.choice(TEXTS["rows"]).split("\n")[:-2]
        lines[rng.randint(0, len(lines)) :] = rng.choice((more, ["# x", *more], [*more, "", f"  {more[0]}"], lines[:2]))
        rng.shuffle(lines)
        lines = lines[: rng.randint(1, 8)]
    return "".join(f"{line}\n" for line in lines) + "# end\n"


def _edit(texts: dict[str, str], rng: random.Random) -> None:
    """Write, remove or rename a file, let two of a kind have the text of each other, or edit the lines of one."""
    place = rng.choice(list(PLACES))
    kind = PLACES[place]
    others = [other for other, its in PLACES.items() if its == kind and other != place]
    act = rng.choice(("write", "write", "lines", "lines", "remove", "rename", "swap"))
    if act == "lines" and kind == "rows" and place in texts:
        texts[place] = _edit_lines(texts[place], rng)
    elif act == "write" or not others:
        texts[place] = rng.choice(TEXTS[kind])
    elif act == "remove":
        texts.pop(place, None)
    elif act == "rename" and place in texts:
        texts[rng.choice(others)] = texts.pop(place)
    elif act == "swap" and place in texts:
        other = rng.choice(others)
        if other in texts:
            texts[place], texts[other] = texts[other], texts[place]


@pytest.mark.parametrize("seed", range(10))
def test_reuse_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    texts = good = {"permissions.toml": TEXTS["catalog"][0], "rows1.csv": TEXTS["rows"][0]}
    before: Policy | None = None
    accepted = 0
    for _ in range(EDITS):
        edited = dict(texts)
        for _ in range(rng.randint(1, 3)):
            _edit(edited, rng)
        files = {"model.conf": _MODEL, **{name: text.encode() for name, text in edited.items()}}
        found, policy = outcome(files, before)
        assert found == outcome(files, None)[0], sorted(edited.items())
        if policy is not None:
            before, accepted, good = policy, accepted + 1, edited
        # Edits continue from refused files, too, which stay in the directory.
        texts = edited if rng.random() < 0.4 else good
    assert accepted > EDITS / 10
