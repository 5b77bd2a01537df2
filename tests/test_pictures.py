"""The drawings in the documents."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.server import ROOT

SVG = "{http://www.w3.org/2000/svg}"
FILES = ["app/architecture.svg", "app/request.svg"]


@pytest.mark.parametrize("file", FILES)
def test_a_picture_has_a_size_a_title_and_nothing_that_runs_or_is_fetched(file: str) -> None:
    root = ElementTree.parse(ROOT / file).getroot()
    assert root.tag == f"{SVG}svg"
    assert root.get("viewBox")
    assert root.findtext(f"{SVG}title")
    assert {element.tag for element in root.iter()}.isdisjoint({f"{SVG}{tag}" for tag in ("script", "image", "use")})
    assert not [key for element in root.iter() for key in element.attrib if "href" in key or key.startswith("on")]


@pytest.mark.parametrize("file", FILES)
def test_the_places_of_a_picture_are_there(file: str) -> None:
    root = ElementTree.parse(ROOT / file).getroot()
    texts = [element.text or "" for element in root.iter(f"{SVG}text") if element.get("class") == "code"]
    places = [place for text in texts for place in re.findall(r"(?:app|policies)/[\w./*]+", text)]
    assert places
    for place in places:
        assert any(Path(ROOT).glob(place)), place


@pytest.mark.parametrize("file", FILES)
def test_the_texts_of_a_picture_are_within_it(file: str) -> None:
    root = ElementTree.parse(ROOT / file).getroot()
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for element in root.iter(f"{SVG}text"):
        x, y, length = float(element.attrib["x"]), float(element.attrib["y"]), 7.5 * len(element.text or "")
        left, right = (x - length / 2, x + length / 2) if element.get("text-anchor") == "middle" else (x, x + length)
        assert 0 <= left < right <= width, element.text
        assert 0 < y < height, element.text
