"""The change for one thing between two policies: which callers gain and which lose it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from app.policy.analysis.access_change import Combination, Kind
from app.policy.analysis.callers import Callers
from app.policy.analysis.terms import Atoms, RuleMeaning, Terms, TooWide, minimal
from app.policy.language.rule import Rule

MAX_SIMPLIFIED = 1_000  # regions of one thing; beyond that, redundant regions are not removed

Region = tuple[int, tuple[int, ...]]
RulesOfSides = tuple[Mapping[RuleMeaning, Rule], Mapping[RuleMeaning, Rule]]  # of the old policy and of the new


class ThingChange:
    """The change for all things with rules of the same meanings."""

    def __init__(
        self,
        rules: RulesOfSides,
        callers: Callers,
        max_steps: int,
    ) -> None:
        self.steps = 0
        self._max_steps = max_steps
        self.atoms = Atoms(tuple(zip(rules, callers.holders, strict=True)))
        self._terms = (callers.terms(self.atoms, 0), callers.terms(self.atoms, 1))
        self.regions: list[tuple[Kind, Region]] = [
            *(("gain", region) for region in self._opened(*self._terms)),
            *(("loss", region) for region in self._opened(*reversed(self._terms))),
        ]

    def combination(self, mask: int) -> Combination:
        """The set of callers that a mask stands for."""
        conditions = list(self.atoms.conditions(mask))
        return Combination(
            tuple(self.atoms.held(mask)),
            tuple(when for when, met in conditions if met),
            tuple(when for when, met in conditions if not met),
        )

    def within(self, side: int, who: int, effect: str) -> Iterator[RuleMeaning]:
        """The meanings of one policy that apply to all of a region."""
        for mask, found in self._of(side, effect):
            if mask & who == mask:
                yield from found

    def beyond(self, side: int, who: int, unless: tuple[int, ...], effect: str) -> Iterator[RuleMeaning]:
        """The meanings of one policy that bound a region."""
        for mask, found in self._of(side, effect):
            if mask & ~who in unless and (mask & who or not who):
                yield from found

    def _of(self, side: int, effect: str) -> Iterable[tuple[int, list[RuleMeaning]]]:
        terms = self._terms[side]
        return (terms.allows if effect == "allow" else terms.denies).items()

    def _opened(self, was: Terms, now: Terms) -> list[Region]:
        """Regions whose union is exactly what `now` allows and `was` did not. Raises TooWide.

        Allowed now: a term of an allow, and no term of a deny. Not allowed then: no term of an allow, or a term of
        a deny.
        """
        came = [allow for allow in now.allows if allow not in was.allows]
        freed = [deny for deny in was.denies if deny not in now.denies]
        self.steps += (len(came) + len(now.allows) * len(freed)) * (1 + len(now.denies) + len(was.allows))
        if self.steps > self._max_steps:
            raise TooWide
        found: list[Region] = []
        for allow in came:
            found += self._region(allow, [*now.denies, *was.allows])
        for allow in now.allows:
            for deny in freed:
                found += self._region(allow | deny, now.denies)
        return _simplify(found) if len(found) <= MAX_SIMPLIFIED else found

    def _region(self, who: int, bounds: Iterable[int]) -> Iterator[Region]:
        """The callers with a mask and none of the bounds, if there can be any."""
        if not self.atoms.possible(who):
            return
        rest = [bound & ~who for bound in bounds if self.atoms.possible(bound | who)]
        if 0 not in rest:
            yield who, tuple(minimal(set(rest)))


def _simplify(regions: list[Region]) -> list[Region]:
    """Remove the regions that lie within another."""
    kept: list[Region] = []
    for region in sorted(set(regions), key=lambda each: (each[0].bit_count(), len(each[1]))):
        if not any(_lies_within(region, other) for other in kept):
            kept.append(region)
    return kept


def _lies_within(inner: Region, outer: Region) -> bool:
    who, unless = inner
    if outer[0] & who != outer[0]:
        return False
    return all(any(mine & ~(other | who) == 0 for mine in unless) for other in outer[1])
