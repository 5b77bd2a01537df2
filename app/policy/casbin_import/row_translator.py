"""Carries the rows of a Casbin program over, one by one. An allow becomes at most as wide, a deny at least."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.policy.casbin_import.carried_rule import CarriedRule, RoutePattern, allowed_routes, denied_route
from app.policy.casbin_import.casbin_functions import matches
from app.policy.casbin_import.casbin_rows import CasbinRow
from app.policy.casbin_import.import_options import ImportOptions, RequestFields
from app.policy.casbin_import.model_file import CasbinModel, PolicyEffect
from app.policy.casbin_import.new_names import NewNames
from app.policy.casbin_import.object_sets import ObjectReader, ObjectSet
from app.policy.casbin_import.row_alternatives import AlternativeReader, ResolvedAlternative
from app.policy.casbin_import.subject_needs import ResolvedTest, SubjectNeeds, SubjectReader
from app.policy.casbin_import.translation import Translation, UnstatedDeny
from app.policy.language.rule import Effect

ANONYMOUS = "auth:anonymous"
EVERYONE, SIGNED_IN = frozenset({"anyone"}), frozenset({"auth:jwt"})
_PROGRESS = 5_000  # rows
_HINTS: Mapping[str, str] = {
    "subject": "write a row for each subject by hand, or change its name",
    "object": "write a row by hand, see policies/README.md",
    "pattern": "write a row by hand that is as wide as you intend, such as `/orders/*` for any one segment",
    "attributes": "write a condition, see policies/REFERENCE.md",
}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """How the new policy names things. `literals` are the segments of all paths, `verbs` the actions of all rows."""

    names: NewNames
    subjects: SubjectReader
    objects: ObjectReader
    literals: Collection[str]
    verbs: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Meaning:
    """What a row says by one alternative. `actions` are the tests of the action."""

    order: int
    row: CasbinRow
    needs: SubjectNeeds
    objects: ObjectSet
    actions: tuple[ResolvedTest, ...]
    methods: tuple[str, ...]
    verbs: tuple[str, ...]
    reads_attributes: bool = False


class RowTranslator:
    """Carries rows over. The result is in `found`."""

    def __init__(
        self, model: CasbinModel, fields: RequestFields, options: ImportOptions, vocabulary: Vocabulary
    ) -> None:
        self._model = model
        self._fields = fields
        self._options = options
        self._words = vocabulary
        self._actions: dict[tuple[tuple[ResolvedTest, ...], bool], tuple[str, ...]] = {}
        self.found = Translation()

    def translate(
        self, rows: Sequence[CasbinRow], alternatives: AlternativeReader, progress: Callable[[str], None]
    ) -> None:
        """Carry all rows over, in the order of Casbin."""
        for order, row in enumerate(rows):
            if order and order % _PROGRESS == 0:
                progress(f"{order:,} of {len(rows):,} rows carried over")
            before = self.found.size
            effect = self._effect(row)
            if effect == "deny" and self._model.effect is PolicyEffect.ALLOW_OVERRIDE:
                message = f"the effect `{self._model.effect.value}` ignores denies, so Casbin does not deny this"
                self.found.note("no-effect", "ignored-deny", row, message)
                continue
            for alternative in alternatives.read(row):
                meaning = self._meaning(order, row, alternative)
                self.found.rules += self._allows(meaning) if effect == "allow" else self._denies(meaning)
            if self.found.size == before:
                self.found.note("no-effect", "never-met", row, "no request meets the matcher with this row")

    def allow_by_default(self) -> None:
        """Allow everything that has a name, which the effect does for all requests that no row denies."""
        line, _ = self._model.matcher.place(0)
        row = CasbinRow(self._model.file, line, "e", (self._model.effect.value,))
        message = "Casbin allows what no row denies; here that is only what the rows name, for signed-in users"
        self.found.note("left-out", "default-allow", row, message, "allow what should be open by rows")
        everything = self._meaning(-1, row, ResolvedAlternative((), frozenset()))
        self.found.rules = [*self._allows(everything), *self.found.rules]

    def _effect(self, row: CasbinRow) -> Effect:
        is_deny = "eft" in self._model.policy and row.cells[self._model.policy.index("eft")] == "deny"
        return "deny" if is_deny else "allow"

    def _meaning(self, order: int, row: CasbinRow, found: ResolvedAlternative) -> _Meaning:
        needs = self._words.subjects.needs(found.of(self._fields.subject), found.of(self._fields.domain))
        objects = self._words.objects.objects(found.of(self._fields.object))
        actions = found.of(self._fields.action)
        methods, verbs = self._methods(actions), self._verbs(actions)
        return _Meaning(order, row, needs, objects, actions, methods, verbs, bool(found.attributes))

    def _allows(self, meaning: _Meaning) -> Iterator[CarriedRule]:
        row, needs, objects = meaning.row, meaning.needs, meaning.objects
        if meaning.reads_attributes:
            message = "the matcher reads attributes here, which rows do not: nothing is allowed by it"
            self._leave_out("attributes", row, message)
            return
        for problem, code in ((needs.problem, "subject"), (objects.problem, "object")):
            if problem:
                self._leave_out(code, row, problem)
        self._note_open(meaning)
        holders = [held for each in needs.alternatives for held in ((each,) if each else self._every_subject())]
        is_exact = not needs.problem and not objects.problem
        yield from self._allowed_routes(meaning, holders, is_exact=is_exact)
        for name in objects.things:
            thing = self._words.names.thing(name)
            if thing is None:
                self._leave_out("object", row, f"rows cannot name the object `{name}`")
            elif not meaning.verbs:
                self.found.note("left-out", "action", row, "rows cannot name its action", "an action is a word")
            else:
                for held in holders:
                    yield CarriedRule(row, meaning.order, "allow", held, thing, meaning.verbs, None, is_exact)

    def _allowed_routes(
        self, meaning: _Meaning, holders: Sequence[frozenset[str]], *, is_exact: bool
    ) -> Iterator[CarriedRule]:
        row, objects = meaning.row, meaning.objects
        if objects.patterns and not meaning.methods:
            value = meaning.actions[0].value if meaning.actions else ""
            hint = "say what it stands for: --action read=GET,HEAD"
            self.found.note("left-out", "method", row, f"no method is `{value}`", hint)
            return
        routes: dict[RoutePattern, None] = {}
        for pattern in objects.patterns:
            if pattern.ends_with_slash and not self._options.ignores_last_slash:
                is_exact = False
                message = f"`{objects.text}` ends with a slash, and here it would allow the path without one, too"
                self.found.note("left-out", "last-slash", row, message, "if that is right: --ignore-last-slash")
                continue
            found, is_whole = allowed_routes(pattern, self._words.literals, self._options.depth)
            routes.update(dict.fromkeys(found))
            if not is_whole:
                is_exact = False
                self._leave_out("pattern", row, f"`{objects.text}` also matches paths that no row can state")
        condition = ""
        if objects.equal is not None and routes:
            condition = "params.p{} == params.p{}".format(*(at + 1 for at in objects.equal))
            message = "its condition reads the parameters of the generated document, by their position"
            self.found.note("remark", "condition", row, message, "with another document, name the parameters of that")
            self.found.inexact.add((row.file, row.line))
        for route in routes:
            resource = route.resource(self._options.prefix)
            for held in holders:
                yield CarriedRule(
                    row,
                    meaning.order,
                    "allow",
                    held,
                    resource,
                    meaning.methods,
                    route,
                    is_exact and not condition,
                    condition=condition,
                )

    def _every_subject(self) -> tuple[frozenset[str], ...]:
        """The callers that have a subject in Casbin: signed-in users, and strangers if they have a name there."""
        has_strangers = ANONYMOUS in self._words.names.subjects.values()
        return (SIGNED_IN, frozenset({ANONYMOUS})) if has_strangers else (SIGNED_IN,)

    def _note_open(self, meaning: _Meaning) -> None:
        """Note that a pattern may match things that the files do not name."""
        objects = meaning.objects
        if not objects.is_open:
            return
        if objects.things:
            message = f"`{objects.text}` allows only the objects that the files name"
            self.found.note("remark", "object", meaning.row, message, "name the other objects: --object invoice/7")
        else:
            message = f"no object that the files name matches `{objects.text}`"
            self.found.note("left-out", "object", meaning.row, message, "name the objects: --object invoice/7")

    def _denies(self, meaning: _Meaning) -> Iterator[CarriedRule]:
        row, needs, objects = meaning.row, meaning.needs, meaning.objects
        holders = [(each or EVERYONE, False) for each in needs.alternatives]
        holders += [(each, True) for each in needs.names]
        is_wider = meaning.reads_attributes
        if is_wider:
            message = "the matcher reads attributes here: this deny applies whatever they are"
            self.found.note("wider-deny", "attributes", row, message, _HINTS["attributes"])
        if needs.is_unnameable:
            self._unstated(row, needs.problem, _HINTS["subject"], is_unnamed_path=False)
        elif needs.is_open:
            holders, is_wider = [(EVERYONE, False)], True
            self.found.note("wider-deny", "subject", row, f"{needs.problem}: it denies everyone", _HINTS["subject"])
        elif needs.unnamed:
            message = f"rows cannot name the subject `{needs.unnamed}`, which has this role"
            self._unstated(row, message, _HINTS["subject"], is_unnamed_path=False)
        if not meaning.methods and not meaning.verbs:
            self.found.note("no-effect", "action", row, "no request here has its action, so it denies nothing")
        if objects.problem:
            self._unstated(row, objects.problem, _HINTS["object"], is_unnamed_path=True)
        for route, is_more in self._denied_routes(meaning):
            resource = route.resource(self._options.prefix)
            for held, guards in holders:
                wide = is_wider or is_more
                yield CarriedRule(
                    row, meaning.order, "deny", held, resource, meaning.methods, route, True, wide, guards
                )
        for name in objects.things if meaning.verbs else ():
            thing = self._words.names.thing(name)
            for held, guards in holders if thing else ():
                yield CarriedRule(
                    row, meaning.order, "deny", held, str(thing), meaning.verbs, None, True, is_wider, guards
                )

    def _denied_routes(self, meaning: _Meaning) -> Iterator[tuple[RoutePattern, bool]]:
        """The routes that cover a deny, and whether they are more than it denies."""
        row, objects = meaning.row, meaning.objects
        if objects.equal is not None:
            self.found.note("wider-deny", "pattern", row, f"`{objects.text}` denies unequal segments, too")
        for pattern in objects.patterns if meaning.methods else ():
            route, is_more = denied_route(pattern)
            if route is None:
                message = f"`.` in `{objects.text}` matches any character, so it denies paths that no row can state"
                hint = "write `[.]` or `\\.` for a dot in a pattern that is a regular expression"
                self._unstated(row, message, hint, is_unnamed_path=True)
                continue
            if is_more:
                resource = route.resource(self._options.prefix)
                message = f"`{objects.text}` is denied as `{resource}`, which is more"
                self.found.note("wider-deny", "pattern", row, message)
            yield route, is_more or objects.equal is not None

    def _leave_out(self, code: str, row: CasbinRow, message: str) -> None:
        self.found.note("left-out", code, row, message, _HINTS[code])

    def _unstated(self, row: CasbinRow, message: str, hint: str, *, is_unnamed_path: bool) -> None:
        self.found.unstated.append(UnstatedDeny(row, message, hint, is_unnamed_path))

    def _methods(self, tests: tuple[ResolvedTest, ...]) -> tuple[str, ...]:
        """The methods that meet tests of the action."""
        if (tests, True) not in self._actions:
            action = self._options.action_of
            known = self._options.methods_with(self._words.verbs)
            self._actions[tests, True] = tuple(m for m in known if self._meets(action(m), tests))
        return self._actions[tests, True]

    def _verbs(self, tests: tuple[ResolvedTest, ...]) -> tuple[str, ...]:
        """The actions on things that meet tests."""
        if (tests, False) not in self._actions:
            self._actions[tests, False] = tuple(verb for verb in self._words.verbs if self._meets(verb, tests))
        return self._actions[tests, False]

    def _meets(self, action: str, tests: Sequence[ResolvedTest]) -> bool:
        for test in tests:
            if test.function in self._model.groups:
                if not self._words.objects.is_member(test, action):
                    return False
            elif not matches(test.function, action, test.value):
                return False
        return True
