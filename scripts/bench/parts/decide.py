"""A decision by number of rules: cached, uncached, with a condition, and by pycasbin.

In processor microseconds, so that other load does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from app.identity.principal import Principal, user_principal
from app.policy.engine.enforcer import Enforcer
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.verdict import Conditions
from app.policy.language.when.context import LazyContext, subject_of
from scripts.bench.decide import GRANTS, SIZES, first, snapshot_of
from scripts.bench.measuring import Options, Row, compared, in_turn, micros, spread
from tests.policy.worlds import Plain

_RESOURCE = "/api/v0/things/{id}"
_LIMITS = "under 15 µs, at most 1.3 times"


def measure(options: Options) -> Iterator[Row]:
    """Measure each size with 1 and with 16 grants, also with both enforcers of pycasbin."""
    least: dict[str, list[float]] = {}
    sizes = SIZES[:2] if options.tiny else SIZES
    sides = {rules: _sides(rules) for rules in sizes}
    taken = in_turn(options.rounds, {f"{rules} {name}": side for rules in sizes for name, side in sides[rules].items()})
    for rules in sizes:
        found = {name: taken[f"{rules} {name}"] for name in sides[rules]}
        yield Row("decide", f"remembered, {rules:,} rules", "µs", spread(found["remembered"]), "under 1 µs", rules)
        for kind in ("first", "with a condition"):
            for grants in GRANTS:
                name = f"{kind}, {grants} grants"
                other = "40 rules", least.setdefault(name, found[name])
                what = f"{kind}, {rules:,} rules, {grants} grants"
                yield compared("decide", what, "µs", ours=found[name], other=other, goal=_LIMITS, size=rules)
        for name in ("Enforcer", "FastEnforcer"):
            what, other = f"pycasbin {name}, {rules:,} rules", ("a first decision", found["first, 1 grants"])
            yield compared("decide", what, "µs", ours=found[name], other=other, goal="", size=rules)


def _sides(rules: int) -> dict[str, Callable[[], float]]:
    """Each way to decide, in microseconds per decision."""
    snapshot, _ = snapshot_of(rules)
    conditional, _ = snapshot_of(rules, "params.id == '7' && request.method == 'GET'")
    plain, fast = Plain(snapshot), Enforcer(snapshot.index)
    sides: dict[str, Callable[[], float]] = {}
    for grants in GRANTS:
        caller = user_principal("user_bench", [f"r{number}:read" for number in range(grants)], {})
        met = _met(conditional, caller)
        if not met():
            raise RuntimeError("the condition was to be met")
        sides[f"first, {grants} grants"] = lambda held=caller.held: first(snapshot, held, rules, 400) * 1e6  # type: ignore[misc]
        sides[f"with a condition, {grants} grants"] = lambda met=met: micros(met, 1_000)  # type: ignore[misc]
    one = user_principal("user_bench", ["r0:read"], {}).held
    effective, nothing, few = snapshot.effective(one), Conditions({}), max(1, 400 // rules)
    return {
        "remembered": lambda: micros(lambda: snapshot.decide(one, _RESOURCE, "GET"), 20_000),
        **sides,
        "Enforcer": lambda: micros(lambda: plain.allows(effective, _RESOURCE, "GET", {}), few),
        "FastEnforcer": lambda: micros(lambda: fast.allows(effective, _RESOURCE, "GET", nothing), 200),
    }


def _met(snapshot: Snapshot, caller: Principal) -> Callable[[], object]:
    """A decision with a condition that is met, and a context as the door builds it."""

    def decided() -> object:
        context = LazyContext(
            subject=lambda: subject_of(caller, caller.held),
            resource=lambda: {"type": "route", "id": _RESOURCE, "properties": {}},
            action=lambda: {"name": "GET", "properties": {}},
            request=lambda: {"time": datetime.now(UTC), "method": "GET", "path": "/api/v0/things/7"},
            params=lambda: {"id": "7"},
        )
        return snapshot.decide(caller.held, _RESOURCE, "GET", context)

    return decided
