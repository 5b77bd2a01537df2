"""pycasbin's own enforcer over the files that are imported, as the reference for verdicts."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

import casbin
from casbin.model import Model
from casbin.persist import Adapter, load_policy_line

from app.policy.casbin_import.casbin_functions import function_of
from app.policy.casbin_import.casbin_policy import CasbinFiles, CasbinPolicy
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.language.fault import Fault
from app.policy.language.source import lines_of, shown

# How an attribute counts that rows cannot read: an allow does not apply, and a deny does.
_NEVER, _IN_DENIES = "(1 == 2)", '(p.eft == "deny")'


class ReferenceEnforcer:
    """Decides requests with pycasbin. `without` are the lines of rows to leave out, by file.

    Raises ImportRefused if Casbin cannot load the files.
    """

    def __init__(
        self,
        policy: CasbinPolicy,
        files: CasbinFiles,
        matching: Mapping[str, str],
        without: Collection[tuple[str, int]] = frozenset(),
    ) -> None:
        self._file = files.model_file
        model = Model()
        model.load_model_from_text(_model_text(policy, files))
        try:
            self._casbin = casbin.Enforcer(model, _Lines(files.rows, without))
        except Exception as error:  # such as one about rows that it cannot order
            raise self._failure("the rows", error) from error
        for group, function in matching.items():
            self._casbin.add_named_matching_func(group, function_of(function))
        # Casbin logs the subject of every denial.
        self._casbin.logger = logging.Logger("casbin", logging.CRITICAL + 1)

    def allows(self, request: Collection[str]) -> bool:
        """Casbin's verdict on the fields of a request. Raises ImportRefused if Casbin fails."""
        try:
            return bool(self._casbin.enforce(*request))
        except Exception as error:  # Casbin and its functions raise plain exceptions
            raise self._failure(f"the request ({', '.join(request)})", error) from error

    def _failure(self, what: str, error: Exception) -> ImportRefused:
        message = f"pycasbin fails at {what}: {shown(str(error))}"
        hint = "a program with these files fails at it, too: correct them"
        return ImportRefused([Fault.of_file("casbin-failure", self._file, message, hint)])


class _Lines(Adapter):  # type: ignore[misc]  # Casbin is untyped
    """Loads the lines of texts as Casbin's adapter for files does."""

    def __init__(self, files: Mapping[str, str], without: Collection[tuple[str, int]]) -> None:
        self._files = files
        self._without = without

    def load_policy(self, model: Model) -> None:
        for file, text in self._files.items():
            for number, line in enumerate(lines_of(text), 1):
                if (file, number) not in self._without:
                    load_policy_line(line.strip(), model)


def _model_text(policy: CasbinPolicy, files: CasbinFiles) -> str:
    """The text of the model; tests of attributes are replaced, since there are no attributes to ask about."""
    if not policy.attributes:
        return files.model
    model = policy.model
    text = model.matcher.text
    for test in sorted(policy.attributes, key=lambda test: -test.start):
        text = text[: test.start] + (_IN_DENIES if "eft" in model.policy else _NEVER) + text[test.end :]
    groups = "".join(f"{name} = {', '.join('_' * count)}\n" for name, count in model.groups.items())
    return (
        f"[request_definition]\nr = {', '.join(model.request)}\n[policy_definition]\np = {', '.join(model.policy)}\n"
        + (f"[role_definition]\n{groups}" if groups else "")
        + f"[policy_effect]\ne = {model.effect.value}\n[matchers]\nm = {text}\n"
    )
