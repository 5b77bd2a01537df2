"""The requests with which an import is proved: every tuple that the files name, and random ones."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from app.identity.principal import ANYONE
from app.policy.casbin_import.casbin_policy import CasbinPolicy
from app.policy.casbin_import.import_options import ImportOptions, RequestFields
from app.policy.casbin_import.importer import ImportedPolicy
from app.policy.casbin_import.known_values import KnownValues
from app.policy.casbin_import.new_names import NewNames, org_grant, user_grant
from app.policy.casbin_import.row_translator import ANONYMOUS
from app.policy.engine.snapshot import Snapshot
from app.policy.routing.routes import split_route

STRANGER, OTHER_DOMAIN, OTHER_ACTION, OTHER_THING = "no-such-user", "no-such-domain", "no-such-action", "no-such-thing"
_TEXTS = ("7", "x1", "Alpha-2", "v1.0", ".hidden", "a_b", "me", "no-such-segment")
MAX_DEEPER = 6
_PARAMETER = re.compile(r"\{([^}]*)\}")


@dataclass(frozen=True, slots=True)
class CasbinCaller:
    """A subject in a domain, and the grants of that caller here.

    `is_role_name`: a user who is named like a role, and does not have it here.
    """

    subject: str
    domain: str
    held: tuple[str, ...]
    is_role_name: bool = False


@dataclass(frozen=True, slots=True)
class CasbinQuestion:
    """A request in both policies. `is_known`: the files name the thing and the action, or it is about a path.

    `slashed` is the request for the path with a last slash, empty for a thing.
    """

    caller: CasbinCaller
    action: str
    resource: str
    request: tuple[str, ...]
    is_known: bool
    slashed: tuple[str, ...] = ()


class QuestionMaker:
    """Makes questions about an imported policy."""

    def __init__(
        self, casbin: CasbinPolicy, imported: ImportedPolicy, snapshot: Snapshot, options: ImportOptions
    ) -> None:
        self._casbin = casbin
        self._options = options
        self._random = random.Random(options.seed)  # noqa: S311  # a reproducible sample; no secret
        self._given = frozenset(row.grant for row in snapshot.policy.memberships)
        values = KnownValues(casbin, options.objects)
        self.callers = tuple(self._callers(values, imported))
        self._rules = tuple(imported.places.values())
        self._table = snapshot.table
        known = (options.handlers or snapshot.table).templates
        known = tuple(each for each in known if each.startswith(f"{options.prefix}/"))
        # With a document of its own, also the paths that only rows have.
        self.templates = tuple(dict.fromkeys((*known, *(f"{options.prefix}{path}" for path in imported.paths))))
        # Rows of the base open OPTIONS of the application to everyone.
        methods = options.methods_with(values.verbs)
        self._methods = tuple(each for each in methods if options.handlers is None or each != "OPTIONS")
        names = NewNames(options.service)
        self._names = names
        self.things = tuple(name for name in values.things if names.thing(name))
        self._verbs = tuple(dict.fromkeys((*values.verbs, OTHER_ACTION)))
        self._literals = tuple(dict.fromkeys((*values.literals, *_TEXTS)))

    @property
    def count(self) -> int:
        """How many questions there are about what the files name."""
        return len(self.callers) * (len(self.templates) * len(self._methods) + len(self.things) * len(self._verbs))

    def named(self) -> Iterator[CasbinQuestion]:
        """Every caller, path of the document with every method, and thing with every action."""
        paths = [self._path(template) for template in self.templates]
        for caller in self.callers:
            for path, method in product(paths, self._methods):
                yield self._about_path(caller, path, method)
            for thing, verb in product(self.things, self._verbs):
                yield self._about_thing(caller, thing, verb)

    def sample(self, most: int) -> list[CasbinQuestion]:
        """All named questions, or a sample of them, of which up to half are about what single rules say.

        Of many rows nearly all other questions would be denied by both policies.
        """
        if self.count <= most:
            return list(self.named())
        found = list(self._about_rules(most // 2))
        return [*found, *(self._one_named() for _ in range(most - len(found)))]

    def some(self, count: int) -> Iterator[CasbinQuestion]:
        """Random questions: also about other paths, things, actions and callers."""
        for _ in range(count):
            caller = self._random.choice(self.callers)
            if self._is_about_path():
                yield self._about_path(caller, self._random_path(), self._random.choice(self._methods))
            else:
                thing = self._random.choice((*self.things, OTHER_THING))
                yield self._about_thing(caller, thing, self._random.choice(self._verbs))

    def _one_named(self) -> CasbinQuestion:
        caller = self._random.choice(self.callers)
        if self._is_about_path():
            path = self._path(self._random.choice(self.templates))
            return self._about_path(caller, path, self._random.choice(self._methods))
        return self._about_thing(caller, self._random.choice(self.things), self._random.choice(self._verbs))

    def _about_rules(self, most: int) -> Iterator[CasbinQuestion]:
        """Questions of callers whom a rule of the new policy is about, one for each of some rules."""
        holders: dict[str, list[CasbinCaller]] = defaultdict(list)
        for caller in self.callers:
            for grant in caller.held:
                holders[grant].append(caller)
        for rule in self._random.sample(self._rules, min(most, len(self._rules))):
            needs = rule.needs - {ANYONE}
            fewest = min((holders[need] for need in needs), key=len, default=self.callers)
            callers = [caller for caller in fewest if needs.issubset(caller.held)]
            if not callers:
                continue
            caller, action = self._random.choice(callers), self._random.choice(rule.actions)
            if rule.route:
                template = self._random.choice(self._table.match(rule.resource))
                yield self._about_path(caller, self._path(template), action)
            else:
                yield self._about_thing(caller, rule.resource.partition(":")[2], action)

    def _is_about_path(self) -> bool:
        return bool(self.templates) and (not self.things or self._happens(0.5))

    def _callers(self, values: KnownValues, imported: ImportedPolicy) -> Iterator[CasbinCaller]:
        """Users and roles, in each domain, and a stranger."""
        domains = (*values.domains, OTHER_DOMAIN) if self._casbin.fields.domain else ("",)
        graphs = self._casbin.graphs_of(self._casbin.fields.subject)
        orgs = {domain: org_grant(domain) for domain in domains if domain}
        for subject, domain in product((*values.subjects, STRANGER), domains):
            org = orgs.get(domain)
            if domain and org is None:
                continue
            grant = self._options.subjects.get(subject)
            is_role = not grant and any(graph.is_role_anywhere(subject) for graph in graphs.values())
            grant = grant or user_grant(subject)
            facts = (*(() if grant == ANONYMOUS else ("auth:jwt",)), *((org,) if org else ()))
            if grant and not (org and grant == ANONYMOUS):
                yield CasbinCaller(subject, domain, (*facts, grant), is_role)
            if is_role:
                yield from (
                    CasbinCaller(subject, domain, (*facts, role))
                    for graph in graphs.values()
                    for place in dict.fromkeys((domain, ""))
                    if graph.is_role(place, subject)
                    and (role := imported.roles.get(graph.key(place, subject))) in self._given
                )

    def _about_path(self, caller: CasbinCaller, path: str, method: str) -> CasbinQuestion:
        resource = f"{self._options.prefix}{path}"
        action = self._options.action_of(method)
        slashed = self._request(caller, f"{path}/", action)
        return CasbinQuestion(caller, method, resource, self._request(caller, path, action), True, slashed)

    def _about_thing(self, caller: CasbinCaller, thing: str, verb: str) -> CasbinQuestion:
        resource = f"{self._options.service}:{thing}"
        is_known = thing != OTHER_THING and verb != OTHER_ACTION
        return CasbinQuestion(caller, verb, resource, self._request(caller, thing, verb), is_known)

    def _request(self, caller: CasbinCaller, thing: str, action: str) -> tuple[str, ...]:
        fields: RequestFields = self._casbin.fields
        values: Mapping[str | None, str] = {
            fields.subject: caller.subject,
            fields.domain: caller.domain,
            fields.object: thing,
            fields.action: action,
        }
        return tuple(values.get(name, "") for name in self._casbin.model.request)

    def _path(self, template: str) -> str:
        """A path that the template matches, with texts that no other template has."""
        parts: Sequence[str] = split_route(template)[1].split("/")
        return "/".join(_PARAMETER.sub(r"no-such-\1", part) for part in parts)

    def _random_path(self) -> str:
        parts = split_route(self._random.choice(self.templates))[1].removesuffix("/").split("/")[1:]
        parts = [self._filled(part) if "{" in part else self._text() if self._happens(0.1) else part for part in parts]
        for _ in range(self._random.randrange(MAX_DEEPER) if self._happens(0.2) else 0):
            parts.append(self._text())
        if parts and self._happens(0.1):
            parts.pop()
        return "/" + "/".join(parts)

    def _filled(self, part: str) -> str:
        return _PARAMETER.sub(lambda _: self._text(), part)

    def _text(self) -> str:
        return self._random.choice(self._literals if self._happens(0.5) else _TEXTS)

    def _happens(self, share: float) -> bool:
        return self._random.random() < share
