"""Random Casbin policies of many kinds, for the test and the trial of the import."""

from __future__ import annotations

import random
from dataclasses import dataclass

from app.policy.casbin_import.casbin_policy import CasbinFiles

ALLOW = "some(where (p.eft == allow))"
ALLOW_AND_DENY = "some(where (p.eft == allow)) && !some(where (p.eft == deny))"
DENY_OVERRIDE = "!some(where (p.eft == deny))"
PRIORITY = "priority(p.eft) || deny"

_USERS = ("ann", "bob", "cy", "Dee", "eve@example.com")
_ROLES = ("reader", "editor", "Chief", "chief", "a:b")
_DOMAINS = ("north", "south", "org_1")
_THINGS = ("stock", "price", "price:7", "plan")
_GROUPS = ("files", "all")
_SEGMENTS = ("v1", "orders", "export", "7", "items", "v1.0")
_METHODS = ("GET", "POST", "DELETE", "HEAD", "OPTIONS")
_VERBS = ("read", "write")


@dataclass(frozen=True, slots=True)
class RandomCasbin:
    """A random policy, and the pattern function of its resource roles if it has one."""

    files: CasbinFiles
    matching: dict[str, str]


def random_casbin(seed: int) -> RandomCasbin:
    """A random policy; the same for the same seed."""
    return _Writer(random.Random(seed)).policy()


class _Writer:
    def __init__(self, chosen: random.Random) -> None:
        self._chosen = chosen
        self._effect = chosen.choice((ALLOW, ALLOW, ALLOW_AND_DENY, ALLOW_AND_DENY, PRIORITY, DENY_OVERRIDE))
        self._has_domains = chosen.random() < 0.3
        self._has_roles = chosen.random() < 0.8
        self._has_groups = self._has_roles and chosen.random() < 0.3
        self._object = chosen.choice(
            ("==", "keyMatch", "keyMatch2", "keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "regexMatch")
        )
        self._action = chosen.choice(("==", "== *", "regexMatch"))
        self._is_about_things = chosen.random() < 0.4
        self._has_priority = self._effect == PRIORITY and chosen.random() < 0.5
        self._has_effects = self._effect != ALLOW or chosen.random() < 0.1

    def policy(self) -> RandomCasbin:
        rows = [self._rule() for _ in range(self._chosen.randrange(1, 9))]
        if self._has_roles:
            rows += [self._link() for _ in range(self._chosen.randrange(6))]
        if self._has_groups:
            rows += [f"g2, {self._plain_object()}, {self._chosen.choice(_GROUPS)}" for _ in range(3)]
        self._chosen.shuffle(rows)
        files = CasbinFiles("model.conf", self._model(), {"policy.csv": "\n".join(rows) + "\n"})
        return RandomCasbin(files, {"g2": "none"} if self._has_groups else {})

    def _model(self) -> str:
        dom = "dom, " if self._has_domains else ""
        priority, effect = "priority, " if self._has_priority else "", ", eft" if self._has_effects else ""
        groups = "g = _, _, _\n" if self._has_domains else "g = _, _\n"
        groups = (groups if self._has_roles else "") + ("g2 = _, _\n" if self._has_groups else "")
        return (
            f"[request_definition]\nr = sub, {dom}obj, act\n"
            f"[policy_definition]\np = {priority}sub, {dom}obj, act{effect}\n"
            + (f"[role_definition]\n{groups}" if groups else "")
            + f"[policy_effect]\ne = {self._effect}\n[matchers]\nm = {self._matcher()}\n"
        )

    def _matcher(self) -> str:
        subject = "r.sub == p.sub"
        if self._has_roles:
            subject = "g(r.sub, p.sub, r.dom)" if self._has_domains else "g(r.sub, p.sub)"
        if self._chosen.random() < 0.3:
            subject = f'(p.sub == "*" || {subject})'
        domain = ""
        if self._has_domains:
            domain = self._chosen.choice((" && r.dom == p.dom", " && keyMatch(r.dom, p.dom)", ""))
        thing = "r.obj == p.obj" if self._object == "==" else f"{self._object}(r.obj, p.obj)"
        if self._has_groups:
            thing = f"g2(r.obj, p.obj) && {thing}" if self._object == "==" else f"(g2(r.obj, p.obj) || {thing})"
        action = {
            "==": "r.act == p.act",
            "== *": '(r.act == p.act || p.act == "*")',
            "regexMatch": "regexMatch(r.act, p.act)",
        }[self._action]
        root = ' || r.sub == "root"' if self._chosen.random() < 0.15 else ""
        return f"{subject}{domain} && {thing} && {action}{root}"

    def _rule(self) -> str:
        cells = ["p"]
        if self._has_priority:
            cells.append(str(self._chosen.randrange(4)))
        cells.append(self._chosen.choice((*_USERS, *_ROLES, *_ROLES, "*") if self._has_roles else (*_USERS, "*")))
        if self._has_domains:
            cells.append(self._chosen.choice((*_DOMAINS, "*")))
        cells += [self._pattern(), self._action_cell()]
        if self._has_effects:
            cells.append(self._chosen.choice(("allow", "allow", "deny")))
        return ", ".join(cells)

    def _link(self) -> str:
        member = self._chosen.choice((*_USERS, *_USERS, *_ROLES))
        cells = ["g", member, self._chosen.choice(_ROLES)]
        if self._has_domains:
            cells.append(self._chosen.choice(_DOMAINS))
        return ", ".join(cells)

    def _plain_object(self) -> str:
        return self._chosen.choice(_THINGS) if self._is_about_things else self._path()

    def _path(self) -> str:
        parts = [self._chosen.choice(_SEGMENTS) for _ in range(self._chosen.randrange(4))]
        return "/" + "/".join(parts)

    def _pattern(self) -> str:
        if self._has_groups and self._chosen.random() < 0.5:
            return self._chosen.choice(_GROUPS)
        if self._is_about_things and self._chosen.random() < 0.8:
            return self._chosen.choice(_THINGS)
        if self._object == "==":
            return self._path()
        if self._object == "keyMatch":
            return self._path() + self._chosen.choice(("", "/*", "*", "/*/x"))
        if self._object == "regexMatch":
            return self._regex()
        parameter = ":id" if self._object == "keyMatch2" else "{id}"
        parts = [self._chosen.choice((*_SEGMENTS, parameter, parameter)) for _ in range(self._chosen.randrange(1, 4))]
        return "/" + "/".join(parts) + self._chosen.choice(("", "", "/*", "/", "/*/tail"))

    def _regex(self) -> str:
        parts = [
            self._chosen.choice(("v1", "orders", "[^/]+", "[0-9]+", "(orders|items)", ".*", "v1\\.0", "a?b", "\\w+"))
            for _ in range(self._chosen.randrange(1, 4))
        ]
        start = self._chosen.choice(("^/", "/"))
        return start + "/".join(parts) + self._chosen.choice(("$", "$", "", "/?$", "/.*"))

    def _action_cell(self) -> str:
        known = _VERBS if self._is_about_things else _METHODS
        cells: tuple[str, ...] = (*known, "*") if self._action == "== *" else known
        if self._action == "regexMatch":
            cells = ("|".join(f"({each})" for each in known[:2]), ".*", known[0], f"^{known[1]}$")
        return self._chosen.choice(cells)
