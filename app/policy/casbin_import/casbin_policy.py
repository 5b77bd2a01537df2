"""The policy of a Casbin program, as its files say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from app.policy.casbin_import.casbin_functions import pattern_error
from app.policy.casbin_import.casbin_rows import CasbinRow, CasbinRows, read_rows
from app.policy.casbin_import.expression import parse_matcher
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.import_options import RequestFields, fields_of
from app.policy.casbin_import.matcher import PATTERNS, Alternative, AttributeTest, FieldTest, alternatives
from app.policy.casbin_import.model_file import CasbinModel, read_model
from app.policy.casbin_import.role_graph import RoleGraph
from app.policy.casbin_import.row_alternatives import AlternativeReader
from app.policy.language.fault import Fault
from app.policy.language.source import shown


@dataclass(frozen=True, slots=True)
class CasbinFiles:
    """The text of a model and of the files of rows, by name, in the order in which Casbin loads them."""

    model_file: str
    model: str
    rows: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CasbinPolicy:
    """What the files of a Casbin program say."""

    model: CasbinModel
    alternatives: tuple[Alternative, ...]
    fields: RequestFields
    rows: CasbinRows
    graphs: Mapping[str, RoleGraph]

    @property
    def attributes(self) -> tuple[AttributeTest, ...]:
        """The tests of the matcher that rows cannot express."""
        found = (test for each in self.alternatives for test in each if isinstance(test, AttributeTest))
        return tuple(dict.fromkeys(found))

    def graphs_of(self, name: str | None) -> Mapping[str, RoleGraph]:
        """The role definitions that the matcher applies to a field of the request."""
        tests = (test for each in self.alternatives for test in each if isinstance(test, FieldTest))
        used = {test.function for test in tests if test.field == name}
        return {group: graph for group, graph in self.graphs.items() if group in used}


def read_casbin(files: CasbinFiles, progress: Callable[[str], None] = lambda _: None) -> CasbinPolicy:
    """Read and check the files. Raises ImportRefused."""
    model = read_model(files.model_file, files.model)
    tests = alternatives(model, parse_matcher(model))
    rows = read_rows(model, files.rows, progress)
    graphs = {name: RoleGraph(name, links) for name, links in rows.links.items()}
    casbin = CasbinPolicy(model, tests, fields_of(model), rows, graphs)
    faults = [fault for graph in graphs.values() for fault in graph.faults()]
    faults += _pattern_faults(casbin)
    if faults:
        raise ImportRefused(faults)
    return casbin


def _pattern_faults(casbin: CasbinPolicy) -> Iterator[Fault]:
    """Patterns at which pycasbin fails, unless another part of the matcher keeps it from looking at them."""
    reader = AlternativeReader(casbin.model, casbin.fields, casbin.alternatives)
    for row in casbin.rows.rules:
        tests = (test for alternative in reader.read(row) for _, test in alternative.tests)
        patterns = ((test.function, test.value) for test in tests if test.function in PATTERNS)
        yield from (fault for each in patterns if (fault := pattern_fault(row, *each, "fails at it")))


def pattern_fault(row: CasbinRow, function: str, value: str, outcome: str) -> Fault | None:
    """The fault of a row with a value that is no pattern of a function; None if it is one."""
    error = pattern_error(function, value)
    if error is None:
        return None
    message = f"`{value}` is no pattern of {function}, and pycasbin {outcome}: {error}"
    return Fault("casbin-pattern", row.file, row.line, 1, message, "correct it", text=shown(str(row)))
