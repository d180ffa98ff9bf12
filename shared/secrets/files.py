"""Reads secrets from files, as Docker, Compose and Kubernetes mount them: NAME_FILE is the path to NAME's value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from shared.errors import ConfigurationError

SUFFIX = "_file"


class SecretFiles(PydanticBaseSettingsSource):
    """Reads the files that variables name, for every secret setting. Variables are in small letters."""

    def __init__(self, settings: type[BaseSettings], variables: Mapping[str, str | None]) -> None:
        super().__init__(settings)
        self._variables = variables

    def __call__(self) -> dict[str, Any]:
        """Read the files; raise ConfigurationError if one cannot be read, or its setting is also set directly."""
        fields = self.settings_cls.model_fields
        found = {name: self.get_field_value(field, name)[0] for name, field in fields.items() if is_secret(field)}
        return {name: value for name, value in found.items() if value}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the content of the field's file, if a variable names one."""
        variable = f"{field_name}{SUFFIX}"
        path = self._variables.get(variable)
        if not path or variable in self.settings_cls.model_fields:  # SECRET_KEY_FILE is a setting of its own
            return None, field_name, False
        for name in names_of(field, field_name):
            if self._variables.get(name):
                raise ConfigurationError(f"{name.upper()} and {variable.upper()} are both set. Keep one of them.")
        return _read(Path(path), variable.upper()), field_name, False


def is_secret(field: FieldInfo) -> bool:
    """Return whether a setting is secret."""
    return any(word in str(field.annotation) for word in ("SecretStr", "NamedChannel"))


def names_of(field: FieldInfo, field_name: str) -> list[str]:
    """Return the variables that a setting is read from, in small letters."""
    alias = field.validation_alias
    return [str(each) for each in alias.choices] if isinstance(alias, AliasChoices) else [field_name]


def _read(path: Path, variable: str) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigurationError(f"{variable}: the file {path} cannot be read: {why}.") from error
