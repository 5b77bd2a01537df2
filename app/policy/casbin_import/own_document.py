"""The routes of a team, in place of a generated document: rules that are about them, and those that are not.

They are those of its OpenAPI document, or of its handlers. One route may be for paths that rows tell apart, such as
`/orders/{id}` for `/orders/archive`. An allow of such a path is left out. A deny of it refuses the import if any row
allows that route: it would be lost.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from app.policy.casbin_import.carried_rule import TAIL, CarriedRule, RoutePattern
from app.policy.casbin_import.casbin_rows import CasbinRow
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.path_pattern import ANY
from app.policy.casbin_import.route_document import closing_row
from app.policy.casbin_import.translation import Translation
from app.policy.language.fault import Fault
from app.policy.language.load import Policy, parse
from app.policy.language.source import encode, from_bytes, shown
from app.policy.routing.routes import RouteTable, split_route

SourcedRule = tuple[CarriedRule, tuple[CasbinRow, ...]]
_PARAMETER = re.compile(r"\{[^}]*\}")
_OTHER = "no-such-segment"  # a text that no path of a document has


def own_routes(options: ImportOptions, base: Policy) -> RouteTable | None:
    """The routes of the team; None if the import generates them. Raises PolicyRefused for a document with faults."""
    if options.document is None:
        return options.handlers
    name, text = options.document
    policy = parse(from_bytes(encode({**base.source.files, name: text})))
    return RouteTable(route for each in policy.services if each.service == options.service for route in each.routes)


def fitted(rules: Sequence[SourcedRule], table: RouteTable, place: str, found: Translation) -> list[SourcedRule]:
    """The rules, as far as they are about routes of the team, which have their `place`. Raises ImportRefused."""
    _check_denies(rules, table, place)
    return [each for rule, sources in rules for each in _fitted(rule, sources, table, place, found)]


def closed_endpoints(rules: Sequence[CarriedRule], table: RouteTable, decided: str) -> list[str]:
    """Rows that deny the endpoints that no rule is about, since each endpoint needs a row.

    Other rows decide about the method `decided`.
    """
    named: dict[str, set[str]] = {}
    for rule in rules:
        for template in table.match(rule.resource) if rule.route else ():
            named.setdefault(template, set()).update(rule.actions)
    missing = {
        template: [each for each in table.methods(template) if each not in named.get(template, ()) and each != decided]
        for template in table.templates
    }
    rows = [closing_row(*split_route(template), methods) for template, methods in missing.items() if methods]
    return ["# No row of Casbin is about these endpoints.", *rows] if rows else []


def closed_heads(rules: Sequence[SourcedRule], table: RouteTable, found: Translation) -> list[str]:
    """Rows that deny HEAD of routes that have GET alone, if some rules are about only one of them.

    There a row about GET is about HEAD, too. What allows HEAD is left out.
    """
    about: dict[str, list[SourcedRule]] = defaultdict(list)
    for each in rules:
        for template in table.match(each[0].resource) if each[0].route else ():
            about[template].append(each)
    rows = []
    for template, named in about.items():
        heads = ["HEAD" in rule.actions for rule, _ in named]
        is_equal = heads == ["GET" in rule.actions for rule, _ in named]
        methods = table.methods(template)
        if "HEAD" in methods or "GET" not in methods or is_equal or not any(heads):
            continue
        rows.append(closing_row(*split_route(template), ("HEAD",)))
        message = f"the document has no HEAD of `{template}`, and rows about GET would be about it, too: it is denied"
        for rule, sources in named:
            for row in sources if rule.effect == "allow" and "HEAD" in rule.actions else ():
                found.note("left-out", "document", row, message, "add it to the document, and import again")
    return ["# The document has GET alone, and not all rows about it are about HEAD.", *rows] if rows else []


def paths_with_head(table: RouteTable) -> list[str]:
    """The paths of the document that have HEAD, also where GET implies it."""
    return [split_route(template)[1] for template in table.templates if "HEAD" in table.actions(template)]


def _fitted(
    rule: CarriedRule, sources: tuple[CasbinRow, ...], table: RouteTable, place: str, found: Translation
) -> Iterator[SourcedRule]:
    if rule.route is None:
        yield rule, sources
        return
    covered = table.match(rule.resource)
    known = {method for template in covered for method in table.actions(template)}
    actions = tuple(action for action in rule.actions if action in known)
    shared = _shared(rule.route, rule.actions, covered, table)
    for row in sources:
        if shared and rule.effect == "allow":
            message = f"{place} has no route for `{rule.resource}` alone, it is a part of `{shared[0]}`"
            found.note("left-out", "document", row, message, f"add the path to {place}, and import again")
        elif len(actions) < len(rule.actions):
            missing = "|".join(action for action in rule.actions if action not in known)
            message = f"{place} has no {missing} of `{rule.resource}`"
            found.note("no-effect", "document", row, message, f"if the service has it: add it to {place}")
    if actions:
        yield replace(rule, actions=actions, is_exact=rule.is_exact and not shared), sources


def _check_denies(rules: Sequence[SourcedRule], table: RouteTable, place: str) -> None:
    opened: dict[str, set[str]] = {}
    for rule, _ in rules:
        if rule.effect == "allow" and rule.route is not None:
            for template in table.match(rule.resource):
                opened.setdefault(template, set()).update(rule.actions)
    faults = []
    for rule, sources in rules:
        if rule.effect == "allow" or rule.route is None:
            continue
        for template in _shared(rule.route, rule.actions, table.match(rule.resource), table):
            if not opened.get(template, set()).isdisjoint(rule.actions):
                message = f"{place} has no route for `{rule.resource}` alone: it would be open as `{template}`"
                hint = f"add the path `{split_route(rule.resource)[1]}` to {place}"
                faults += [_fault(row, message, hint) for row in sources]
                break
    if faults:
        raise ImportRefused(faults)


def _fault(row: CasbinRow, message: str, hint: str) -> Fault:
    text = shown(str(row))
    return Fault("document", row.file, row.line, 1, message, hint, len(text), text)


def _shared(route: RoutePattern, actions: Sequence[str], covered: Sequence[str], table: RouteTable) -> list[str]:
    """The templates that are not covered, and some of whose paths the route matches."""
    found = []
    for template in table.templates:
        if template in covered or not set(actions) & set(table.actions(template)):
            continue
        service, path = split_route(template)
        if path.endswith(f"/{TAIL}"):
            is_common = route.overlaps(_of_template(path))
        else:
            common = _common_path(route, path)
            is_common = common is not None and table.resolve(common, service) == template
        if is_common:
            found.append(template)
    return found


def _of_template(path: str) -> RoutePattern:
    """The pattern of a mounted application, or of a parameter that spans segments: `/files/**`."""
    parts = path.split("/")[1:-1]
    return RoutePattern(tuple(ANY if "{" in part else part for part in parts), 0)


def _common_path(route: RoutePattern, template: str) -> str | None:
    """A path that both match, with a text that no template has for what is open in both; None if there is none."""
    parts = template.split("/")[1:] if template != "/" else []
    segments = [*route.segments, *[ANY] * (route.least or 0)]
    if route.has_tail:
        segments += [ANY] * (len(parts) - len(segments))
    if len(segments) != len(parts):
        return None
    texts = []
    for segment, part in zip(segments, parts, strict=True):
        if not isinstance(segment, str):
            texts.append(_PARAMETER.sub(_OTHER, part))
        elif _matches(part, segment):
            texts.append(segment)
        else:
            return None
    return "/" + "/".join(texts)


def _matches(part: str, text: str) -> bool:
    literals = _PARAMETER.split(part)
    return re.fullmatch(".+".join(map(re.escape, literals)), text) is not None
