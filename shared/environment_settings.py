"""Reads settings from the environment, .env, and the files that NAME_FILE names."""

from typing import Any, Self, cast

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from shared.errors import ConfigurationError
from shared.secrets.files import SecretFiles


class EnvironmentSettings(BaseSettings):
    """Each field is an environment variable of the same name in capitals; a secret may also be a file, by NAME_FILE."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        defer_build=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Prefer the environment to .env, and both to the files that they name."""
        variables = {
            **cast(EnvSettingsSource, dotenv_settings).env_vars,
            **cast(EnvSettingsSource, env_settings).env_vars,
        }
        named_files = SecretFiles(settings_cls, variables)
        return init_settings, env_settings, dotenv_settings, named_files, file_secret_settings

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment; raise ConfigurationError naming each wrong variable and what would be right."""
        try:
            return cls(**overrides)
        except ValidationError as error:
            wrong = "; ".join(_said(each["loc"], each["msg"]) for each in error.errors(include_input=False))
            raise ConfigurationError(f"Wrong settings in the environment or .env: {wrong}") from error


def _said(where: tuple[int | str, ...], what: str) -> str:
    return f"{str(where[0]).upper()}: {what}" if where else what  # an error of several fields together has no location
