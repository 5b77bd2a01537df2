"""Faults on a terminal: the caret is below the word in every line."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from app.cli.policy.fault_text import WIDTH, excerpt, fault_lines
from app.cli.terminal import printable, show
from app.policy.language.fault import Fault


@pytest.mark.parametrize(
    ("line", "word", "before"),
    [
        ("p, catalog:raed, /x", "catalog:raed", "p, "),
        ("p,\tcatalog:raed, /x", "catalog:raed", "p,    "),
        ("p, 日本, catalog:raed", "catalog:raed", "p, 日本, "),
        ("日本", "日本", ""),
    ],
)
def test_the_carets_are_below_the_word(line: str, word: str, before: str) -> None:
    shown, carets = excerpt(line, line.index(word) + 1, len(word))
    assert shown.startswith(before + word)
    assert carets == " " * cell_len(before) + "^" * cell_len(word)


def test_a_place_after_the_line_has_a_caret() -> None:
    assert excerpt("p, x", 5, 1) == ("p, x", "    ^")
    assert excerpt("", 400, 9) == ("", "^")


@pytest.mark.parametrize("column", [1, 60, 119, 200, 390])
def test_a_long_line_is_cut_around_the_word(column: int) -> None:
    line = "a" * (column - 1) + "WORD" + "b" * (400 - column)
    shown, carets = excerpt(line, column, 4)
    assert cell_len(shown) <= WIDTH + 2
    assert shown[carets.index("^") :].startswith("WORD")


def test_no_control_character_of_a_file_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    fault = Fault("stray-file", "a\x1b[31m.csv", 1, 1, "\x1b]0;title\x07", text="\x1b[2J")
    show(fault_lines(fault, Path("policies")))
    printed = capsys.readouterr().out
    assert "\x1b" not in printed
    assert "\x07" not in printed
    assert "\\x1b[2J" in printed


def test_brackets_are_not_markup(capsys: pytest.CaptureFixture[str]) -> None:
    show(["[bold]x[/bold] :smile: 12"])
    assert capsys.readouterr().out == "[bold]x[/bold] :smile: 12\n"


def test_a_long_line_is_not_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    show(["x" * 500])
    assert capsys.readouterr().out == "x" * 500 + "\n"


def test_plain_text_is_unchanged() -> None:
    assert printable("日本 é") == "日本 é"
