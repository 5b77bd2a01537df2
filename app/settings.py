"""Settings from the environment and `.env`. An invalid one prevents the start, with the name of the variable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode

from app.cores import available_cores
from app.extras import missing_extra
from app.identity.address import is_trustworthy
from app.identity.bearer import MAX_TOKEN_BYTES
from app.settings_addresses import (
    AuthorizedParties,
    BaseAddress,
    Host,
    HttpAddress,
    IssuerAddress,
    Networks,
    Origins,
    SiemAddress,
    distrust,
)
from app.settings_errors import error_message
from app.settings_local import LocalSettings
from app.settings_values import (
    Audiences,
    AuthHeader,
    CaseFolded,
    ClientIds,
    LevelName,
    SigningKeyFile,
    Text,
    not_empty,
    secret,
    split,
)
from app.settings_variables import SettingsError, read_variables, refuse_unknown
from app.token_prefixes import use_token_prefixes

KeyEnvironment = Literal["live", "test"]
ServerName = Literal["uvicorn", "granian"]
MAX_WORKERS = 64
ISSUERS = "issuers.toml"
MIN_LOG_BYTES = 1_000_000  # some batches of decisions
# 32 hexadecimal characters are 128 random bits.
GatewaySecret = Annotated[SecretStr, Field(min_length=32, max_length=256), AfterValidator(secret)]
_Kind = TypeVar("_Kind", bound="LocalSettings")

__all__ = [
    "KeyEnvironment",
    "LocalSettings",
    "ServerName",
    "Settings",
    "SettingsError",
    "load",
    "load_local",
    "stated_issuer",
]


class Settings(LocalSettings):
    """All settings, each from the variable `AUTHZ_<NAME>`."""

    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    server: Annotated[ServerName, CaseFolded] = "uvicorn"
    # Processes on the same port, each with its own event loop; `auto` is one for each core.
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] = 1
    # One of several workers is killed and replaced if its event loop has not run for this time.
    worker_timeout_seconds: Annotated[float, Field(ge=5, le=3600)] = 30.0
    # How long a stopping process still listens and reports that it is not ready, so that load balancers notice.
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 0.0
    # The issuer whose users may sign in to the console. `issuers.toml` may name further ones, or all if this is unset.
    jwks_url: Annotated[IssuerAddress | None, Field(validate_default=True)] = None
    issuer: Annotated[Text | None, Field(validate_default=True)] = None
    # Before the audience, whose validator reads this field.
    authorized_parties: AuthorizedParties = ()
    audience: Annotated[Audiences, Field(validate_default=True)] = ()
    # The form of the claims with the organization of a user; if unset, none is read. `issuers.toml` has other forms.
    organizations: Annotated[Literal["clerk"], CaseFolded] | None = None
    # Whether the issuer gives access tokens to apps; unset, only tokens that name another client in `client_id` are
    # theirs. And the clients of the operator, whose tokens are those of users.
    delegated: bool | None = None
    own_clients: ClientIds = ()
    # How far the clocks of the issuer and of this machine may differ.
    clock_skew_seconds: Annotated[int, Field(ge=0, le=300)] = 5
    # A longer token in a header is refused.
    max_token_bytes: Annotated[int, Field(ge=1024, le=65_536)] = MAX_TOKEN_BYTES
    # Lists are separated by commas, not written as JSON.
    key_environments: Annotated[tuple[Annotated[KeyEnvironment, CaseFolded], ...], NoDecode, BeforeValidator(split)] = (
        "live",
        "test",
    )
    # Limits a minute in each process: bad credentials of a peer, and new keys of an owner; 0 is no limit.
    bad_credentials_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    # The maximum number of an owner's keys that are neither revoked, expired nor rotated.
    key_max_active: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    key_issues_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 300
    # Open connections of a peer to each process; 0 is no limit.
    connections_per_peer: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    allowed_origins: Origins = ()
    # Whether apps of third parties may register themselves (RFC 7591), without credentials.
    app_registration: bool = False
    # The public address of this deployment, which is never read from a Host header.
    public_url: BaseAddress | None = None
    # A gateway authenticates with a secret or by its address; if both are empty, all gateways are refused.
    gateway_secrets: Annotated[tuple[GatewaySecret, ...], NoDecode, BeforeValidator(split)] = ()
    gateway_networks: Networks = ()
    access_log: bool = True
    log_level: Annotated[Literal["debug", "info", "warning", "error"], LevelName] = "info"
    log_format: Annotated[Literal["json", "console"], CaseFolded] = "json"
    # The timeout of a statement on PostgreSQL.
    database_timeout_seconds: Annotated[float, Field(ge=1, le=3600)] = 10.0
    # The maximum number of connections of each process to PostgreSQL, without the one that listens for changes.
    database_pool_size: Annotated[int, Field(ge=1, le=1000)] = 10
    # How long a request waits for a connection before it gets a 503.
    database_pool_wait_seconds: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    # The space on the disk of a SQLite file, in MB, that is reserved for revocations and policies.
    disk_reserve_mb: Annotated[int, Field(ge=0, le=1_000_000)] = 32
    # A key that another process revoked is refused after at most this number of seconds.
    key_cache_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0
    # The number of cached keys, of one or two kilobytes each.
    key_cache_size: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    # How long the last signing keys are used while the issuer is unavailable.
    jwks_max_stale_seconds: Annotated[float, Field(ge=0)] = 3600.0

    # Without contact to the database for this number of seconds nothing is decided; if unset, the last policy stays
    # active.
    policy_max_stale_seconds: Annotated[float | None, Field(ge=2)] = None

    # The client id of the console at the issuer; if unset, there is no console.
    console_client_id: Text | None = None
    # A public client has no secret and depends on PKCE.
    console_client_secret: Annotated[SecretStr, AfterValidator(not_empty)] | None = None
    # The address of the console, if it is not the public address.
    console_url: BaseAddress | None = None
    # After this number of seconds the user signs in again, which renews their permissions.
    console_session_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600

    # The endpoint of the trace collector, such as http://collector:4318; if unset, there are no traces.
    otlp_endpoint: HttpAddress | None = None
    # The share of traces to keep, of those that start here; a caller's `traceparent` decides about its own trace.
    trace_sample: Annotated[float, Field(ge=0, le=1)] = 1.0

    # The share of allows that the decision log keeps; denials are all kept.
    decision_log_sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    # Older decisions are deleted; 0 keeps them all.
    decision_log_retention_days: Annotated[int, Field(ge=0, le=36_500)] = 30
    # The bytes of decisions, above which the oldest of the largest class are deleted; 0 is no limit.
    decision_log_max_bytes: Annotated[int, Field(ge=0, le=10**15)] = 10_000_000_000

    @field_validator("decision_log_max_bytes")
    @classmethod
    def _has_room_for_a_batch(cls, value: int) -> int:
        if 0 < value < MIN_LOG_BYTES:
            raise ValueError(f"write at least {MIN_LOG_BYTES}, a number of bytes, or 0 for no limit")
        return value

    # Where the decision log and the admin log are sent: as logs of OpenTelemetry, and as CloudEvents. Each header
    # authenticates there.
    siem_otlp_url: SiemAddress | None = None
    siem_otlp_header: AuthHeader | None = None
    siem_cloudevents_url: SiemAddress | None = None
    siem_cloudevents_header: AuthHeader | None = None
    # Decisions and administrative acts are sealed by the hash chain after about this number of seconds.
    decision_log_seal_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    # A private key that signs the hash chain.
    decision_log_signing_key_file: SigningKeyFile | None = None

    @field_validator("server")
    @classmethod
    def _is_installed(cls, value: ServerName) -> ServerName:
        if value == "granian" and (missing := missing_extra("granian")):
            raise ValueError(missing)
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _can_export(cls, value: str | None) -> str | None:
        if value is not None and (missing := missing_extra("opentelemetry")):
            raise ValueError(missing)
        return value

    @field_validator("key_environments")
    @classmethod
    def _check_environments(cls, value: tuple[KeyEnvironment, ...]) -> tuple[KeyEnvironment, ...]:
        if not value:
            raise ValueError("name at least one of live, test")
        return tuple(dict.fromkeys(value))

    @field_validator("workers", mode="before")
    @classmethod
    def _count_cores(cls, value: object) -> object:
        if isinstance(value, str) and value.lower() == "auto":
            return min(available_cores(), MAX_WORKERS)
        return value

    @field_validator("jwks_url", "issuer")
    @classmethod
    def _may_be_unset(cls, value: str | None, info: ValidationInfo) -> str | None:
        needed = info.field_name == "issuer" and info.data.get("jwks_url", True)
        if value is None and (needed or not _has_issuers(info.data.get("policy_dir"))):
            raise ValueError("not set")
        return value

    @field_validator("audience")
    @classmethod
    def _check_audience(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        # If the parties are invalid, they have their own error.
        if info.data.get("issuer", True) and not value and not info.data.get("authorized_parties", True):
            raise ValueError(
                "not set, nor AUTHZ_AUTHORIZED_PARTIES: name the audience (`aud`) of the tokens; for tokens without "
                "one, such as Clerk's session tokens, name the clients (`azp`) that they may come from"
            )
        return value

    @model_validator(mode="after")
    def _check_issuer(self) -> Self:
        if self.issuer and not self.jwks_url:
            raise ValueError("AUTHZ_JWKS_URL: not set")
        for name in ("audience", "authorized_parties", "delegated", "own_clients"):
            if getattr(self, name) and not self.issuer:
                raise ValueError(
                    f"AUTHZ_{name.upper()}: is for AUTHZ_ISSUER, which is not set: {ISSUERS} states its own"
                )
        if self.own_clients and not self.delegated:
            raise ValueError("AUTHZ_OWN_CLIENTS: is for AUTHZ_DELEGATED=true: set that, or AUTHZ_AUTHORIZED_PARTIES")
        return self

    @model_validator(mode="after")
    def _check_console_issuer(self) -> Self:
        if self.console_client_id and self.issuer is None:
            raise ValueError("AUTHZ_ISSUER: not set: users of the console sign in there")
        if self.console_client_id and self.issuer and not is_trustworthy(self.issuer):
            raise ValueError(f"AUTHZ_ISSUER: users of the console sign in there: {distrust(self.issuer)}")
        return self

    @model_validator(mode="after")
    def _check_console_address(self) -> Self:
        if self.console_client_id and not (self.console_url or self.public_url):
            raise ValueError("AUTHZ_CONSOLE_URL: not set, nor AUTHZ_PUBLIC_URL: the console needs to know its address")
        return self

    @model_validator(mode="after")
    def _check_siem_headers(self) -> Self:
        for name in ("otlp", "cloudevents"):
            if getattr(self, f"siem_{name}_header") and not getattr(self, f"siem_{name}_url"):
                variable = f"AUTHZ_SIEM_{name.upper()}"
                raise ValueError(f"{variable}_URL: not set, but {variable}_HEADER is")
        return self


def load(**overrides: object) -> Settings:
    """Read the settings, and use their token prefixes. Raises SettingsError with all invalid variables."""
    return _read(Settings, overrides)


def load_local() -> LocalSettings:
    """Read the settings of a command that does not serve, and use their token prefixes. Raises SettingsError."""
    return _read(LocalSettings, {})


def stated_issuer() -> str | None:
    """The issuer in the variables, for commands that do not serve. Raises SettingsError."""
    return read_variables().get("AUTHZ_ISSUER") or None


def _has_issuers(directory: Path | None) -> bool:
    return directory is not None and (directory / ISSUERS).is_file()


def _read(kind: type[_Kind], overrides: Mapping[str, Any]) -> _Kind:
    refuse_unknown(Settings.model_fields)
    try:
        settings = kind(**overrides)
    except ValidationError as fault:
        errors = fault.errors(include_url=False)
    else:
        use_token_prefixes(settings.key_prefix)
        return settings
    raise SettingsError("\n".join(dict.fromkeys(error_message(error, overrides) for error in errors)))
