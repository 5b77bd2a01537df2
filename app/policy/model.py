"""`model.conf`: Casbin's model, which must be the one whose meaning the rest of the policy relies on."""

from __future__ import annotations

import configparser

from app.policy.fault import Fault, did_you_mean
from app.policy.source import Source

FILE = "model.conf"
MODEL = {
    "request_definition": {"r": "held, obj, act, ctx"},
    "policy_definition": {"p": "needs, obj, act, eft, when"},
    "policy_effect": {"e": "some(where (p.eft == allow)) && !some(where (p.eft == deny))"},
    "matchers": {
        "m": "r.obj == p.obj && r.act == p.act && holds(r.held, p.needs) && met(p.when, r.ctx)",
    },
}
TEXT = "\n".join(
    f"[{section}]\n" + "\n".join(f"{key} = {value}" for key, value in entries.items()) + "\n"
    for section, entries in MODEL.items()
)


def check(source: Source, faults: list[Fault]) -> None:
    """Hold the file against the model. Another effect or matcher would give every row another meaning."""
    text = source.files[FILE]
    parser = configparser.ConfigParser(interpolation=None, strict=True, delimiters=("=",), comment_prefixes=("#",))
    try:
        parser.read_string(text)
    except configparser.Error as error:
        number = getattr(error, "lineno", None) or next(iter(getattr(error, "errors", [])), (1, ""))[0]
        message = f"not a model: {error.message.splitlines()[0]}"
        faults.append(Fault("model", FILE, number, 1, message, text=source.line(FILE, number)))
        return
    for section in parser.sections():
        if section not in MODEL:
            hint = did_you_mean(section, MODEL) or f"the sections are {', '.join(MODEL)}"
            faults.append(_at(source, f"[{section}]", f"`{section}` is no section of this model", hint))
    for section, entries in MODEL.items():
        if not parser.has_section(section):
            faults.append(_at(source, "", f"the section `{section}` is missing", f"add [{section}]"))
            continue
        for key in parser.options(section):
            if key not in entries:
                faults.append(_at(source, key, f"`{key}` is not of this model", f"known are {', '.join(entries)}"))
        for key, value in entries.items():
            found = parser.get(section, key, fallback="")
            if _squeeze(found) != _squeeze(value):
                message = f"`{key}` is not the one that rows are written for"
                faults.append(_at(source, f"{key} =", message, f"write `{key} = {value}`"))


def _squeeze(text: str) -> str:
    return "".join(text.split())


def _at(source: Source, word: str, message: str, hint: str) -> Fault:
    lines = source.files[FILE].split("\n")
    number = next((n for n, line in enumerate(lines, 1) if word and line.strip().startswith(word)), 1)
    return Fault("model", FILE, number, 1, message, hint, len(lines[number - 1]) or 1, lines[number - 1])
