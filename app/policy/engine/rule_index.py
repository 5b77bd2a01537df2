"""The rules of an expanded policy by resource and action."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping

from app.policy.language.rule import Rule

# (resource, action)
Key = tuple[str, str]
# (resource, action) → the rules that apply to it, in file order.
Index = Mapping[Key, tuple[Rule, ...]]
# Most keys of a large policy have one rule, for which a tuple would take more memory than all else here.
Applying = Rule | tuple[Rule, ...]


class RuleIndex(Mapping[Key, tuple[Rule, ...]]):
    """An index in a fifth of the memory of a dictionary of pairs: by action, then by resource, without any pair."""

    __slots__ = ("by_action",)

    def __init__(self, by_action: Mapping[str, Mapping[str, Applying]]) -> None:
        self.by_action = by_action

    def __getitem__(self, key: Key) -> tuple[Rule, ...]:
        found = self.by_action[key[1]][key[0]]
        return found if isinstance(found, tuple) else (found,)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and key[1] in self.by_action and key[0] in self.by_action[key[1]]

    def __iter__(self) -> Iterator[Key]:
        for action, by_resource in self.by_action.items():
            for resource in by_resource:
                yield resource, action

    def __len__(self) -> int:
        return sum(map(len, self.by_action.values()))

    def items(self) -> ItemsView[Key, tuple[Rule, ...]]:
        """Each key with its rules."""
        return _RuleItems(self)


class _RuleItems(ItemsView[Key, tuple[Rule, ...]]):
    """Items without a lookup of each key."""

    def __init__(self, index: RuleIndex) -> None:
        super().__init__(index)
        self._index = index

    def __iter__(self) -> Iterator[tuple[Key, tuple[Rule, ...]]]:
        for action, by_resource in self._index.by_action.items():
            for resource, found in by_resource.items():
                yield (resource, action), found if isinstance(found, tuple) else (found,)
