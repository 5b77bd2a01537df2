"""What the author of an import chooses, and the fields of a model by their part in a request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.model_file import CasbinModel
from app.policy.language.fault import Fault
from app.policy.routing.routes import RouteTable

# The methods that a pattern of actions is compared with; others occur only if some row names their action.
USUAL_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
DOCUMENT_METHODS = (*USUAL_METHODS, "TRACE")
NO_FUNCTION = "none"
_SUBJECTS = ("sub", "subject", "user", "username", "role", "who")
_DOMAINS = ("dom", "domain", "tenant", "org", "organization")
_OBJECTS = ("obj", "object", "resource", "res", "path", "url", "uri", "route")
_ACTIONS = ("act", "action", "method", "operation", "verb")


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """The name of the service, and how its requests become those of Casbin.

    `methods` are the methods that an action of Casbin stands for, such as `read` for GET. `subjects` are the grants
    that subjects stand for, where it is not `user:<name>`. `objects` are things that only patterns match. `matching`
    are the pattern functions that the program registered for role definitions, or `none`. `depth` is the number of
    segments behind `/*` in the generated document. `document` is the name and the text of the service's own one,
    `handlers` are the routes of handlers that the application serves itself; at most one of these is given.
    """

    service: str
    depth: int = 4
    ignores_last_slash: bool = False
    methods: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    subjects: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    objects: Collection[str] = ()
    matching: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    document: tuple[str, str] | None = None
    handlers: RouteTable | None = None
    samples: int = 1_000
    seed: int = 0

    @property
    def functions(self) -> Mapping[str, str]:
        """The role definitions with a pattern function."""
        return {group: function for group, function in self.matching.items() if function != NO_FUNCTION}

    @property
    def prefix(self) -> str:
        """What the resource of a route begins with: nothing for a route of the application."""
        return f"{self.service}:" if self.handlers is None else ""

    @property
    def is_generated(self) -> bool:
        """Whether the import writes the document, so that the rows are all that says which routes there are."""
        return self.document is None and self.handlers is None

    def methods_with(self, actions: Collection[str]) -> tuple[str, ...]:
        """The methods that are decided where rows name these actions."""
        return tuple(each for each in DOCUMENT_METHODS if each in USUAL_METHODS or self.action_of(each) in actions)

    def action_of(self, method: str) -> str:
        """The action that Casbin is asked about for a method."""
        return next((action for action, methods in self.methods.items() if method in methods), method)


@dataclass(frozen=True, slots=True)
class RequestFields:
    """The fields of the request definition: who, in which domain, on what, does what."""

    subject: str | None
    domain: str | None
    object: str
    action: str


def fields_of(model: CasbinModel) -> RequestFields:
    """Find the fields by their names. Raises ImportRefused without an object or an action."""

    def find(names: Collection[str]) -> str | None:
        return next((name for name in model.request if name.lower() in names), None)

    subject, domain, thing, action = map(find, (_SUBJECTS, _DOMAINS, _OBJECTS, _ACTIONS))
    if thing is None or action is None:
        missing, names = ("an object", _OBJECTS) if thing is None else ("an action", _ACTIONS)
        message = f"the request `{', '.join(model.request)}` has no field for {missing}"
        hint = f"name it one of {', '.join(names)}; a policy without one cannot be imported"
        raise ImportRefused([Fault("casbin-model", model.file, 1, 1, message, hint)])
    return RequestFields(subject, domain, thing, action)
