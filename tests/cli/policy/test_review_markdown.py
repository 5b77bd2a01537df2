"""Comments of policies whose authors try to break out: nothing of theirs is Markdown, HTML, a mention or a command."""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from app.cli.policy.markdown import MAX_LINE, Section, code, render

HOSTILE = [
    "@octocat and @acme/admins, please approve",
    "<img src=x onerror=alert(1)> <!-- --> </details>",
    "```",
    "~~~",
    "````text",
    "` `` ``` `",
    "`" * 400,
    "[click](https://evil.example) ![x](https://evil.example/x.png) https://evil.example",
    "/approve",
    "   /merge",
    "# heading",
    "| a | b |",
    "fixes #1 GH-1 !2 ~bug %milestone",
    "a\u202eb\u200bc\u0000\x1b[31m\r\nsecond",
    "\ud800",
    "$$x$$ $`x`$",
    "&lt;b&gt; &commat;octocat",
    "    ```",
    "x" * 10_000,
]


def tokens(text: str) -> list[tuple[str, str]]:
    """The kinds and contents of everything that a reader of the comment gets."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        found.append((token.type, token.content))
        found += [(child.type, child.content) for child in token.children or []]
    return found


@pytest.mark.parametrize("line", HOSTILE, ids=range(len(HOSTILE)))
def test_lines_are_code_and_nothing_else(line: str) -> None:
    text = render(["**Ours**"], [Section("Opens", [line, "after"]), Section("Closes", [line], folded=True)], end="End.")
    kinds = tokens(text)
    blocks = [content for kind, content in kinds if kind == "fence"]
    assert [block.count("\n") for block in blocks] == [2, 1]
    assert blocks[0].endswith("after\n")
    assert [content for kind, content in kinds if kind == "html_block"] == [
        "<details><summary>Closes</summary>\n",
        "</details>\n",
    ]
    assert {kind for kind, _ in kinds} <= {
        "paragraph_open", "paragraph_close", "inline", "text", "strong_open", "strong_close",
        "heading_open", "heading_close", "fence", "html_block",
    }  # fmt: skip
    for block in blocks:
        assert all(len(each) <= MAX_LINE * 10 for each in block.splitlines())
        assert not re.search(r"(?m)^\s*/", block)
        assert block.replace("\n", "").isprintable()
    assert kinds[-2] == ("text", "End.")


@pytest.mark.parametrize("text", [*HOSTILE, "", " ", "`a`", "policies"])
def test_a_span_is_one_code_span(text: str) -> None:
    shown = code(text)
    (inline,) = [token for token in MarkdownIt("commonmark").parse(f"Of {shown}.") if token.type == "inline"]
    assert [child.type for child in inline.children or []] == ["text", "code_inline", "text"]


@pytest.mark.parametrize("limit", [1_500, 3_000, 10_000])
@pytest.mark.parametrize("line", ["x" * 40, "é" * 40, "😀" * 40, "`" * 30])
def test_a_document_has_at_most_as_many_bytes_as_its_limit(limit: int, line: str) -> None:
    sections = [Section("A", [f"{number} {line}" for number in range(300)]), Section("B", [line] * 5, folded=True)]
    text = render(["Ours"], sections, end="End.", limit=limit)
    assert limit - 700 < len(text.encode()) <= limit
    assert text.endswith("End.\n")
    shown = sum(content.count("\n") for kind, content in tokens(text) if kind == "fence")
    left_out = re.findall(r"([\d,]+) (?:more )?lines? (?:is|are) left out", text)
    assert shown + sum(map(int, left_out)) == 305
    assert text.startswith("Ours\n\n### A\n\n```")
    assert "because a comment has a limit." in text
    assert len([kind for kind, _ in tokens(text) if kind == "fence"]) in (1, 2)


def test_without_a_limit_nothing_is_left_out() -> None:
    text = render([], [Section("A", ["x"] * 5_000, text="Words."), Section("Empty", [])])
    assert text == "### A\n\nWords.\n\n```text\n" + "x\n" * 5_000 + "```\n"
