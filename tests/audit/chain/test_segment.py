"""Parts of segments, the digests that name rows, retirements, signatures and heads."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from app.audit.chain.entry import ChainHead, PartClass, Retirement
from app.audit.chain.retired import RetiredParts
from app.audit.chain.row_digests import DIGEST_BYTES, DamagedDigests, RowDigests, unpack
from app.audit.chain.segment import DAY, ChainRow, SegmentBuilder
from app.audit.chain.signatures import EntrySignature, UnusableKey, read_public_keys, read_signing_key

CLASSES: tuple[PartClass, ...] = ("known", "authzen", "anonymous")


def _rows(count: int, seed: int = 1, step: int = 3) -> list[ChainRow]:
    draw, row_id, rows = random.Random(seed), 1_000, []
    for _ in range(count):
        row_id += draw.randint(1, step)
        at = draw.choice((0, 1)) * DAY + draw.randrange(DAY)
        rows.append(ChainRow(row_id, at, draw.choice(CLASSES), sha256(draw.randbytes(4)).digest()))
    return rows


def _packed(rows: Sequence[ChainRow]) -> tuple[bytes, bytes]:
    digests = RowDigests(1_000)
    for row in rows:
        digests.add(row.id, row.digest)
    return digests.packed()


def test_each_row_is_in_the_part_of_its_class_and_day() -> None:
    rows, builder = _rows(500), SegmentBuilder(1_000)
    for start in range(0, 500, 64):
        builder.add(rows[start : start + 64])
    parts = builder.parts()
    assert builder.count == 500
    assert len(parts) == 6
    for stored in parts:
        part, own = stored.part, [row for row in rows if row.part == (stored.part.part_class, stored.part.day)]
        assert (part.count, part.first_id, part.last_id) == (len(own), own[0].id, own[-1].id)
        assert (part.first_at, part.last_at) == (min(row.at for row in own), max(row.at for row in own))
        assert part.rows_hash == sha256(b"".join(row.digest for row in own)).digest()
        assert stored.digests is not None
        plain, named = unpack(1_000, part.count, stored.digests)
        assert named == [(row.id, row.digest[:DIGEST_BYTES]) for row in own]
        assert sha256(plain).digest() == part.digests_hash


@pytest.mark.parametrize("step", [1, 2, 1_000, 2**40])
def test_the_digests_of_rows_are_small(step: int) -> None:
    rows = _rows(2_000, step=step)
    plain, stored = _packed(rows)
    assert unpack(1_000, len(rows), stored)[0] == plain
    if step < 3:
        assert len(stored) < 4.5 * len(rows)


def test_damaged_digests_are_refused() -> None:
    rows = _rows(50)
    _, stored = _packed(rows)
    bomb = zlib.compress(bytes(50_000_000))
    size, count = (50_000_000).to_bytes(4, "big"), len(bomb).to_bytes(4, "big")
    damaged = [b"", stored[:7], stored[:-1], stored + b"x", stored[:9] + b"\0\0" + stored[11:]]
    damaged += [size + count + bomb + stored[-200:], (500).to_bytes(4, "big") + count + bomb + stored[-200:]]
    for each in damaged:
        with pytest.raises(DamagedDigests):
            unpack(1_000, 50, each)
    with pytest.raises(DamagedDigests):
        unpack(1_000, 49, stored)


@pytest.mark.parametrize("seed", range(5))
def test_retirements_apply_to_earlier_segments(seed: int) -> None:
    draw = random.Random(seed)
    builder = SegmentBuilder(1_000)
    builder.add(_rows(60, seed))
    parts = [(draw.randrange(40), stored.part) for stored in builder.parts() for _ in range(10)]
    found: list[tuple[int, Retirement]] = []
    for sequence in sorted(draw.sample(range(40), 8)):
        if draw.random() < 0.5:
            retirement = Retirement("age", None, draw.randrange(2 * DAY) - DAY // 2, None, draw.randrange(9))
        else:
            retirement = Retirement("size", draw.choice(CLASSES), None, draw.randrange(900, 1_100), 1)
        assert Retirement.read(retirement.line) == retirement
        found.append((sequence, retirement))
        retired = RetiredParts(found)
        assert retired.first_sequence == max(each.first_sequence for _, each in found)
        for number, part in parts:
            expected = any(later > number and each.covers(part) for later, each in found)
            assert retired.covers(number, part) == expected
    for text in ("", "age - 5 - 1", "age known 5 - 1\n", "size admin - 5 1\n", "size known 5 - 1\n", "age - 5 - 1\n\n"):
        assert Retirement.read(text) is None


def test_heads_are_read_as_they_are_printed() -> None:
    head = ChainHead("admin", 812, sha256(b"").digest())
    assert ChainHead.read(str(head)) == head
    for text in ("", "admin:812", f"other:1:{'0' * 64}", f"admin:0:{'0' * 64}", f"admin:1:{'0' * 63}", f" {head}"):
        with pytest.raises(ValueError, match="is not a head"):
            ChainHead.read(text)


def _write(file: Path, key: Ed25519PrivateKey) -> Path:
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


def test_entries_are_signed_with_the_key_of_a_file(tmp_path: Path) -> None:
    private, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    key = read_signing_key(_write(tmp_path / "key.pem", private))
    files = [tmp_path / "public.pem", tmp_path / "other.pem"]
    for file, each in zip(files, (private, other), strict=True):
        file.write_bytes(each.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    keys = read_public_keys(files)
    digest = sha256(b"entry").digest()
    signature = key.sign(digest)
    assert keys.has(signature.key_id)
    assert keys.verify(digest, signature)
    assert not keys.verify(sha256(b"other").digest(), signature)
    assert not read_public_keys(files[1:]).verify(digest, signature)
    (other_id,) = read_public_keys(files[1:]).keys
    assert not keys.verify(digest, EntrySignature(other_id, signature.value))
    assert private.sign(digest) != signature.value, "a signature of the bare hash is none of an entry"
    assert signature.key_id in repr(key)
    assert not read_public_keys([])


def test_other_keys_are_refused(tmp_path: Path) -> None:
    rsa = generate_private_key(65537, 2048)
    private = Ed25519PrivateKey.generate()
    contents = {
        "rsa": rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "encrypted": private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        "empty": b"",
        "text": b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n",
    }
    for name, content in contents.items():
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(UnusableKey, match="openssl genpkey -algorithm ed25519"):
            read_signing_key(file)
        with pytest.raises(UnusableKey, match="openssl pkey"):
            read_public_keys([file])
    with pytest.raises(UnusableKey):
        read_public_keys([_write(tmp_path / "private", private)])
    with pytest.raises(FileNotFoundError):
        read_signing_key(tmp_path / "missing")
