"""The packages have the text of the licence, as it asks (section 4a), whichever form a user gets."""

from __future__ import annotations

import contextlib
import tarfile
import zipfile
from pathlib import Path

import pytest
from flit_core import buildapi

from tests.support.server import ROOT

LICENSE = (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("directory", ["", "scripts/sdk/python"])
def test_wheels_and_source_distributions_have_the_licence(directory: str, tmp_path: Path) -> None:
    with contextlib.chdir(ROOT / directory):
        wheel, source = buildapi.build_wheel(str(tmp_path)), buildapi.build_sdist(str(tmp_path))
    with zipfile.ZipFile(tmp_path / wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
        assert archive.read(name) == LICENSE
    with tarfile.open(tmp_path / source) as archive:
        member = archive.getmember(f"{source.removesuffix('.tar.gz')}/LICENSE")
        content = archive.extractfile(member)
        assert member.isfile()  # a link to a file outside of the distribution would lead nowhere
        assert content
        assert content.read() == LICENSE


def test_the_sdk_for_typescript_has_the_licence() -> None:
    """npm packs a file of this name, and leaves out links."""
    file = ROOT / "scripts" / "sdk" / "typescript" / "LICENSE"
    assert not file.is_symlink()
    assert file.read_bytes() == LICENSE
