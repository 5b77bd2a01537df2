"""Settings, from the environment and `.env`; a wrong one fails at the start with the variable's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

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
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from app.cores import available_cores
from app.extras import missing_extra
from app.identity.address import is_trustworthy
from app.identity.bearer import MAX_TOKEN_BYTES
from app.settings_values import (
    Audiences,
    AuthorizedParties,
    BaseAddress,
    CaseFolded,
    Host,
    HttpAddress,
    IssuerAddress,
    LevelName,
    Networks,
    Origins,
    Text,
    TrustedProxyNetworks,
    distrust,
    not_empty,
    secret,
    split,
)
from app.settings_variables import PREFIX, SettingsError, read_variables, refuse_unknown

KeyEnvironment = Literal["live", "test"]
ServerName = Literal["uvicorn", "granian"]
MAX_WORKERS = 64
# 32 characters are the least that cannot be guessed.
GatewaySecret = Annotated[SecretStr, Field(min_length=32, max_length=256), AfterValidator(secret)]
_Kind = TypeVar("_Kind", bound="LocalSettings")
_PLAIN = {
    "int_parsing": "write a whole number",
    "int_from_float": "write a whole number",
    "int_type": "write a whole number",
    "float_parsing": "write a number",
    "float_type": "write a number",
    "finite_number": "write a finite number",
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "greater_than_equal": "write at least {ge:g}",
    "less_than_equal": "write at most {le:g}",
    "literal_error": "write {expected}",
}

__all__ = ["KeyEnvironment", "LocalSettings", "ServerName", "Settings", "SettingsError", "load", "load_local"]


class LocalSettings(BaseSettings):
    """What a command needs that serves nothing: where the database and the policy are."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, allow_inf_nan=False)

    database_url: Annotated[str, AfterValidator(not_empty)] = "sqlite:///.authz/authz.db"
    policy_dir: Annotated[Path, BeforeValidator(not_empty)] = Path("policies")
    # The proxies before this deployment, whose X-Forwarded-For is believed; empty where there are none. Unset, nothing
    # is known of proxies.
    trusted_proxies: TrustedProxyNetworks = None
    # A new key ends after at most so many days; unset, it may be without an end.
    key_max_days: Annotated[int | None, Field(ge=1, le=36_500)] = None

    @field_validator("*", mode="before")
    @classmethod
    def _is_in_plain_digits(cls, value: object, info: ValidationInfo) -> object:
        """Python also reads `5_0` as a number; another program that reads the variable would not."""
        kinds = cls.model_fields[info.field_name or ""].annotation
        is_number = bool({int, float} & {kinds, *get_args(kinds)})
        if is_number and isinstance(value, str) and ("_" in value or not value.isascii()):
            raise ValueError("write a number in plain digits, without `_`")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments win; then come the variables, already without what is no setting."""
        variables = EnvSettingsSource(settings_cls)
        variables.env_vars = {name.lower(): value for name, value in read_variables().items()}
        return init_settings, variables


class Settings(LocalSettings):
    """What an operator may set, each as `AUTHZ_<NAME>`."""

    host: Host = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    # What reads requests and writes answers.
    server: Annotated[ServerName, CaseFolded] = "uvicorn"
    # Processes on the one port, each with an event loop of its own; `auto` is one for each core.
    workers: Annotated[int, Field(ge=1, le=MAX_WORKERS)] = 1
    # A worker whose event loop has not run for so long is killed and replaced, where there are several.
    worker_timeout_seconds: Annotated[float, Field(ge=5, le=3600)] = 30.0
    # How long a process that is to stop still listens, and says that it is not ready: what a load balancer needs to
    # notice that.
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 0.0
    jwks_url: IssuerAddress
    issuer: Text
    # Before the audience, which may be left out where these are set.
    authorized_parties: AuthorizedParties = ()
    audience: Annotated[Audiences, Field(validate_default=True)] = ()
    # How far the clocks of the issuer and of this machine may differ.
    clock_skew_seconds: Annotated[int, Field(ge=0, le=300)] = 5
    # A longer token in a header is not read.
    max_token_bytes: Annotated[int, Field(ge=1024, le=65_536)] = MAX_TOKEN_BYTES
    # Lists are separated by commas, not written as JSON.
    key_environments: Annotated[tuple[Annotated[KeyEnvironment, CaseFolded], ...], NoDecode, BeforeValidator(split)] = (
        "live",
        "test",
    )
    # What each process takes in a minute: bad credentials of a peer, and new keys of an owner; 0 is without a limit.
    bad_credentials_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    # An owner has so many keys at most that are neither revoked, expired nor rotated.
    key_max_active: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    key_issues_per_minute: Annotated[int, Field(ge=0, le=1_000_000)] = 300
    # Open connections of a peer to each process, where uvicorn serves; 0 is without a limit.
    connections_per_peer: Annotated[int, Field(ge=0, le=1_000_000)] = 1000
    allowed_origins: Origins = ()
    # Where callers reach this deployment; documents name it, and no Host header ever does.
    public_url: BaseAddress | None = None
    # A gateway proves itself with a secret or by its address; without either none is believed.
    gateway_secrets: Annotated[tuple[GatewaySecret, ...], NoDecode, BeforeValidator(split)] = ()
    gateway_networks: Networks = ()
    access_log: bool = True
    log_level: Annotated[Literal["debug", "info", "warning", "error"], LevelName] = "info"
    log_format: Annotated[Literal["json", "console"], CaseFolded] = "json"
    # A statement that PostgreSQL has not answered by then is given up.
    database_timeout_seconds: Annotated[float, Field(ge=1, le=3600)] = 10.0
    # Connections to PostgreSQL that each process makes at most, apart from the one by which it follows changes.
    database_pool_size: Annotated[int, Field(ge=1, le=1000)] = 10
    # A request waits for one of them so long, then it is answered 503.
    database_pool_wait_seconds: Annotated[float, Field(ge=0.1, le=300)] = 10.0
    # Of the disk of a SQLite file so many MB are left to revocations and policies.
    disk_reserve_mb: Annotated[int, Field(ge=0, le=1_000_000)] = 32
    # A key that was revoked elsewhere is refused here after at most this many seconds.
    key_cache_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0
    # So many keys are remembered, each in a kilobyte or two.
    key_cache_size: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    # For this many seconds without an answer of the issuer, its last published keys are used.
    jwks_max_stale_seconds: Annotated[float, Field(ge=0)] = 3600.0

    # Beyond so many seconds without news of the newest policy nothing is decided; else the last good one serves on.
    policy_max_stale_seconds: Annotated[float | None, Field(ge=2)] = None

    # The console signs people in at the issuer as this client; without it there is no console.
    console_client_id: Text | None = None
    # A client without a secret proves itself by PKCE alone.
    console_client_secret: Annotated[SecretStr, AfterValidator(not_empty)] | None = None
    # Where browsers reach the console, when that is not the public address.
    console_url: BaseAddress | None = None
    # After so many seconds the issuer is asked again who this is and what they may do.
    console_session_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600

    # Where the collector of traces is, such as http://collector:4318; without it there are none.
    otlp_endpoint: HttpAddress | None = None
    # The share of the traces begun here that is kept; one that comes with a request says so itself.
    trace_sample: Annotated[float, Field(ge=0, le=1)] = 1.0

    # The share of allows that the decision log keeps; denials are all kept.
    decision_log_sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    # Older decisions are deleted; 0 keeps them all.
    decision_log_retention_days: Annotated[int, Field(ge=0, le=36_500)] = 30

    @field_validator("server")
    @classmethod
    def _is_installed(cls, value: ServerName) -> ServerName:
        if value == "granian" and (missing := missing_extra("granian")):
            raise ValueError(missing)
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _can_be_sent_to(cls, value: str | None) -> str | None:
        if value is not None and (missing := missing_extra("opentelemetry")):
            raise ValueError(missing)
        return value

    @field_validator("key_environments")
    @classmethod
    def _names_one(cls, value: tuple[KeyEnvironment, ...]) -> tuple[KeyEnvironment, ...]:
        if not value:
            raise ValueError("name at least one of live, test")
        return tuple(dict.fromkeys(value))

    @field_validator("workers", mode="before")
    @classmethod
    def _count_cores(cls, value: object) -> object:
        if isinstance(value, str) and value.lower() == "auto":
            return min(available_cores(), MAX_WORKERS)
        return value

    @field_validator("audience")
    @classmethod
    def _audience_or_parties(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        # Where the parties are at fault themselves, that is said already.
        if not value and not info.data.get("authorized_parties", True):
            raise ValueError(
                "not set, nor AUTHZ_AUTHORIZED_PARTIES: name the audience (`aud`) of the tokens; for tokens without "
                "one, such as Clerk's session tokens, name the clients (`azp`) that they may come from"
            )
        return value

    @model_validator(mode="after")
    def _console_signs_in_over_tls(self) -> Self:
        if self.console_client_id and not is_trustworthy(self.issuer):
            raise ValueError(f"AUTHZ_ISSUER: the console signs people in there: {distrust(self.issuer)}")
        return self

    @model_validator(mode="after")
    def _console_has_an_address(self) -> Self:
        if self.console_client_id and not (self.console_url or self.public_url):
            raise ValueError("AUTHZ_CONSOLE_URL: not set, nor AUTHZ_PUBLIC_URL: the console needs to know its address")
        return self


def load(**overrides: object) -> Settings:
    """Read the settings. Raises SettingsError that names every variable at fault."""
    return _read(Settings, overrides)


def load_local() -> LocalSettings:
    """Read what a command needs that serves nothing. Raises SettingsError."""
    return _read(LocalSettings, {})


def _read(kind: type[_Kind], overrides: Mapping[str, Any]) -> _Kind:
    refuse_unknown(Settings.model_fields)
    try:
        return kind(**overrides)
    except ValidationError as fault:
        errors = fault.errors(include_url=False)
    raise SettingsError("\n".join(dict.fromkeys(_message(error, overrides) for error in errors)))


def _message(error: ErrorDetails, overrides: Mapping[str, Any]) -> str:
    """What is wrong, on one line, and never the value itself: it may be a secret that is in the wrong variable."""
    if not error["loc"]:
        return error["msg"].removeprefix("Value error, ")  # a fault of several settings together names them itself
    name, context = str(error["loc"][0]), error.get("ctx", {})
    variable = f"--{name.replace('_', '-')}" if name in overrides else PREFIX + name.upper()
    if error["type"] == "missing":
        return f"{variable}: not set"
    if error["input"] == "":
        return f"{variable}: is empty: give it a value, or leave the variable out"
    member = next((f"entry {part + 1}: " for part in error["loc"][1:] if isinstance(part, int)), "")
    if error["type"] in ("too_short", "too_long", "string_too_short", "string_too_long"):
        bound = f"at least {context['min_length']}" if "min_length" in context else f"at most {context['max_length']}"
        return f"{variable}: {member}write {bound} characters"
    plain = _PLAIN.get(error["type"])
    message = plain.format_map(context) if plain else error["msg"].removeprefix("Value error, ")
    return f"{variable}: {member}{message}"
