"""The page of the matrix."""

from __future__ import annotations

import re

from tests.console.admins import officer, words
from tests.support.server import Server


def lines(page: str) -> dict[str, list[str]]:
    """The cells of each row, by its heading."""
    found = {}
    for row in re.findall(r"<tr><th scope=\"row\">(.*?)</tr>", page, re.S):
        head, _, rest = row.partition("</th>")
        found[re.sub(r"<[^>]+>", "", head)] = re.findall(r'class="v (\w+)"', rest)
    return found


def heads(page: str) -> list[str]:
    return re.findall(r'<th scope="col" class="grant"><span>(.*?)</span>', page)


def test_each_cell_shows_a_verdict_and_links_to_its_explanation(console: Server) -> None:
    person = officer(console)
    page = person.get("/console/policy/matrix?q=GET+/api/v1/teams").text
    cells = dict(zip(heads(page), lines(page)["GET HEAD /api/v1/teams/{team_id}"], strict=True))
    assert cells["catalog:read"] == cells["role:viewer"] == cells["role:admin"] == "allow"
    assert cells["anonymous"] == cells["signed in"] == cells["catalog:write"] == "no"
    why = re.search(r'class="v no" href="(/console/policy/simulator[^"]+catalog:write[^"]+)"', page)
    assert why
    answer = words(person.get(why[1].replace("&amp;", "&")).text)
    assert "deny" in answer
    assert "Needs catalog:read, which is not held" in answer


def test_it_is_filtered_by_text_file_and_column(console: Server) -> None:
    person = officer(console)
    by_file = lines(person.get("/console/policy/matrix?file=tokens.csv").text)
    assert list(by_file) == ["POST /oauth/introspect"]
    one = person.get("/console/policy/matrix?column=role:editor&q=leagues").text
    assert heads(one) == ["role:editor"]
    assert all("leagues" in row for row in lines(one))
    nothing = person.get("/console/policy/matrix?q=nowhere").text
    assert "No endpoint matches" in nothing


def test_options_are_shown_on_request(console: Server) -> None:
    person = officer(console)
    assert "OPTIONS /healthz" not in lines(person.get("/console/policy/matrix?q=healthz").text)
    assert "OPTIONS /healthz" in lines(person.get("/console/policy/matrix?q=healthz&options=yes").text)


def test_pages_show_every_endpoint_once_and_are_bounded(console: Server) -> None:
    person = officer(console)
    address, seen = "/console/policy/matrix", list[str]()
    while address:
        page = person.get(address).text
        assert len(page) < 100_000
        seen += lines(page)
        following = re.search(r'rel="next" href="([^"]+)"', page)
        address = following[1].replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) > 60
    assert person.get("/console/policy/matrix?page=999999&side=-1").status_code == 200
