"""Puts edited functions into the modules of a running process."""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator
from inspect import CO_OPTIMIZED
from types import CodeType, FunctionType

# The behaviour of a code object; the rest is its place.
_WHAT = ("co_code", "co_names", "co_varnames", "co_cellvars", "co_freevars", "co_flags", "co_exceptiontable")

Key = tuple[str, int]


class NotPatchable(Exception):
    """The edit is of code that ran when the module was imported."""


def changed_functions(before: str, after: str) -> dict[Key, CodeType]:
    """The functions that an edit changes, with those around them, by qualified name and line before the edit.

    Raises NotPatchable for an edit of a module, of a class body or of a default value.
    """
    found: dict[Key, CodeType] = {}
    _collect(compile(before, "source", "exec"), compile(after, "source", "exec"), found)
    return found


def patch(file: str, before: str, after: str) -> None:
    """Replace the functions of a file that an edit changes. Raises NotPatchable."""
    found = changed_functions(before, after)
    gc.unfreeze()  # frozen objects are not listed
    objects = gc.get_objects()
    functions = [each for each in objects if isinstance(each, FunctionType) and each.__code__.co_filename == file]
    patched = 0
    for each in functions:
        new = found.get(_key(each.__code__))
        if new is not None:
            if new.co_freevars != each.__code__.co_freevars:
                raise NotPatchable(new.co_qualname)
            each.__code__ = new.replace(co_filename=file)
            patched += 1
    if not patched:
        raise NotPatchable(file)
    for cached in objects:
        if isinstance(cached, functools._lru_cache_wrapper):
            cached.cache_clear()


def _key(code: CodeType) -> Key:
    return code.co_qualname, code.co_firstlineno


def _collect(old: CodeType, new: CodeType, found: dict[Key, CodeType]) -> bool:
    """Add the changed functions of two code objects; return whether anything changed."""
    inner = list(_inner(old)), list(_inner(new))
    # An edit changes the number of functions only by dropping a part that has a lambda or a comprehension.
    changed = len(inner[0]) != len(inner[1]) or not _same(old, new)
    if changed and not old.co_flags & CO_OPTIMIZED:
        raise NotPatchable(old.co_qualname)
    for one, other in zip(*inner, strict=False):
        changed = _collect(one, other, found) or changed
    if changed and old.co_flags & CO_OPTIMIZED:
        found[_key(old)] = new
    return changed


def _inner(code: CodeType) -> Iterator[CodeType]:
    return (each for each in code.co_consts if isinstance(each, CodeType))


def _same(old: CodeType, new: CodeType) -> bool:
    """Whether two code objects are equal, apart from the functions within them."""
    if any(getattr(old, name) != getattr(new, name) for name in _WHAT):
        return False
    plain = ([repr(each) for each in code.co_consts if not isinstance(each, CodeType)] for code in (old, new))
    return next(plain) == next(plain)
