"""Settings, from the environment and `.env`; a wrong one fails at the start with the variable's name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

KeyEnvironment = Literal["live", "test"]
ServerName = Literal["uvicorn", "granian"]
# Sent in a header, so visible ASCII; 32 characters are the least that nobody guesses.
GatewaySecret = Annotated[SecretStr, Field(min_length=32, max_length=256)]
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_Kind = TypeVar("_Kind", bound="LocalSettings")
_List = NoDecode  # a list is written with commas, not as JSON


class SettingsError(Exception):
    """A setting is missing or wrong. Each line names the variable and how to mend it."""


class LocalSettings(BaseSettings):
    """What a command needs that serves nothing: where the database and the policy are."""

    model_config = SettingsConfigDict(env_prefix="AUTHZ_", env_file=".env", extra="ignore", frozen=True)

    database_url: str = "sqlite:///.authz/authz.db"
    policy_dir: Path = Path("policies")


class Settings(LocalSettings):
    """What an operator may set, each as `AUTHZ_<NAME>`."""

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    # What reads requests and writes answers.
    server: ServerName = "uvicorn"
    # Processes on the one port, each with an event loop of its own.
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    # How long a process that is to stop still listens, and says that it is not ready: what a load balancer needs to
    # notice that.
    drain_seconds: Annotated[float, Field(ge=0, le=300)] = 0.0
    jwks_url: Annotated[str, Field(pattern=r"^https?://")]
    issuer: Annotated[str, Field(min_length=1)]
    audience: Annotated[str, Field(min_length=1)]
    authorized_parties: Annotated[tuple[str, ...], _List] = ()
    key_environments: Annotated[tuple[KeyEnvironment, ...], _List] = ("live", "test")
    allowed_origins: Annotated[tuple[str, ...], _List] = ()
    # Where callers reach this deployment; documents name it, and no Host header ever does.
    public_url: str | None = None
    # A gateway proves itself with a secret or by its address; without either none is believed.
    gateway_secrets: Annotated[tuple[GatewaySecret, ...], _List] = ()
    gateway_networks: Annotated[tuple[IPvAnyNetwork, ...], _List] = ()
    access_log: bool = True
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"
    # A statement that PostgreSQL has not answered by then is given up.
    database_timeout_seconds: Annotated[float, Field(ge=1, le=3600)] = 10.0
    # A key that was revoked elsewhere is refused here after at most this many seconds.
    key_cache_seconds: Annotated[float, Field(ge=0, le=60)] = 1.0
    # So many keys are remembered, each in a kilobyte or two.
    key_cache_size: Annotated[int, Field(ge=1, le=10_000_000)] = 100_000
    # An issuer that does not answer is borne for this many seconds, on the keys that it published last.
    jwks_max_stale_seconds: Annotated[float, Field(ge=0)] = 3600.0

    # Beyond so many seconds without news of the newest policy nothing is decided; else the last good one serves on.
    policy_max_stale_seconds: Annotated[float | None, Field(ge=2)] = None

    # The console signs people in at the issuer as this client; without it there is no console.
    console_client_id: Annotated[str | None, Field(min_length=1)] = None
    # A client without a secret proves itself by PKCE alone.
    console_client_secret: SecretStr | None = None
    # Where browsers reach the console, when that is not the public address.
    console_url: str | None = None
    # After so many seconds the issuer is asked anew who this is and what they may do.
    console_session_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600

    # Where the collector of traces is, such as http://collector:4318; without it there are none.
    otlp_endpoint: Annotated[str | None, Field(pattern=r"^https?://[^/]")] = None
    # The share of the traces begun here that is kept; one that comes with a request says so itself.
    trace_sample: Annotated[float, Field(ge=0, le=1)] = 1.0

    # The share of allows that the decision log keeps; denials are all kept.
    decision_log_sample: Annotated[float, Field(ge=0, le=1)] = 1.0
    # Older decisions are deleted; 0 keeps them all.
    decision_log_retention_days: Annotated[int, Field(ge=0, le=36_500)] = 30

    @field_validator(
        "authorized_parties",
        "key_environments",
        "allowed_origins",
        "gateway_secrets",
        "gateway_networks",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("public_url", "console_url")
    @classmethod
    def _is_base(cls, value: str | None) -> str | None:
        if value is None:
            return None
        url = urlsplit(value)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOOPBACK):
            raise ValueError("write an https:// address; http:// is for a loopback host alone")
        if not url.hostname or url.path not in ("", "/") or url.query or url.fragment or url.username:
            raise ValueError("write scheme and host alone, such as https://authz.example.com")
        return value.removesuffix("/")

    @model_validator(mode="after")
    def _console_has_an_address(self) -> Self:
        if self.console_client_id and not (self.console_url or self.public_url):
            raise ValueError("AUTHZ_CONSOLE_URL: not set, nor AUTHZ_PUBLIC_URL: the console needs to know its address")
        return self

    @field_validator("key_environments")
    @classmethod
    def _not_empty(cls, value: tuple[KeyEnvironment, ...]) -> tuple[KeyEnvironment, ...]:
        if not value:
            raise ValueError("name at least one of live, test")
        return value


def load(**overrides: object) -> Settings:
    """Read the settings. Raises SettingsError that names every variable at fault."""
    return _read(Settings, overrides)


def load_local() -> LocalSettings:
    """Read what a command needs that serves nothing. Raises SettingsError."""
    return _read(LocalSettings, {})


def _read(kind: type[_Kind], overrides: Mapping[str, Any]) -> _Kind:
    try:
        return kind(**overrides)
    except ValidationError as fault:
        raise SettingsError("\n".join(_say(error) for error in fault.errors())) from None


def _say(error: ErrorDetails) -> str:
    message = "not set" if error["type"] == "missing" else error["msg"].removeprefix("Value error, ")
    # A fault of several settings together names them itself.
    return f"AUTHZ_{str(error['loc'][0]).upper()}: {message}" if error["loc"] else message
