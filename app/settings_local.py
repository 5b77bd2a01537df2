"""The settings of commands that do not serve, and how settings are read from variables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from app.identity.token_format import DEFAULT_PREFIX
from app.settings_addresses import TrustedProxyNetworks
from app.settings_texts import Title, TokenPrefixes
from app.settings_values import Text, not_empty
from app.settings_variables import PREFIX, read_variables


class LocalSettings(BaseSettings):
    """The settings of commands that do not serve: the database and the policy."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, allow_inf_nan=False)

    database_url: Annotated[str, AfterValidator(not_empty)] = "sqlite:///.authz/authz.db"
    policy_dir: Annotated[Path, BeforeValidator(not_empty)] = Path("policies")
    # The handlers of your own API, as `module:NAME`; they run behind the policy like those of the application.
    routes: Text | None = None
    # The name of the API in its documentation and metadata.
    api_title: Title = "Griddy API"
    # Whether the sample API, football data, is a part of the application.
    sample_api: bool = True
    # The proxies in front of this deployment, whose X-Forwarded-For is trusted; empty if there is no proxy, None if
    # that is unknown.
    trusted_proxies: TrustedProxyNetworks = None
    # What API keys and the tokens of third-party apps begin with: new ones with the first, and any of them is accepted.
    key_prefix: TokenPrefixes = (DEFAULT_PREFIX,)
    # A new key expires after at most this number of days; if unset, a key need not expire.
    key_max_days: Annotated[int | None, Field(ge=1, le=36_500)] = None

    @field_validator("*", mode="before")
    @classmethod
    def _is_in_plain_digits(cls, value: object, info: ValidationInfo) -> object:
        """Refuse `5_0`, which Python reads as a number and other programs do not."""
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
        """Read arguments first, and then the variables that are settings."""
        variables = EnvSettingsSource(settings_cls)
        variables.env_vars = {name.lower(): value for name, value in read_variables().items()}
        return init_settings, variables
