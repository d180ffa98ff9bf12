"""Collects every secret of a process for the redactor: its settings, variables lent to trainings, registry logins."""

import base64
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import SecretStr

from shared.requests.lent_values import is_private
from shared.secrets.addresses import SECRET_NAME, secrets_in_address
from shared.secrets.forms import SHORT
from shared.secrets.keys import keys_in
from shared.secrets.redactor import Redactor
from shared.settings import Settings

WORD_OR_NUMBER = re.compile(r"[A-Za-z]*|[0-9]*")
# On this machine, these only say where a service is, unless they contain a login.
ONLY_ADDRESSES = frozenset({"database_url", "redis_url", "mlflow_database_url"})


def environment() -> dict[str, str]:
    """Return this process's variables over those of .env, which may also contain variables lent to projects."""
    return {name: text for name, text in dotenv_values(".env").items() if text} | dict(os.environ)


def redactor_of(settings: Settings, variables: Mapping[str, str], *, also: Iterable[str] = ()) -> Redactor:
    """Return the process's only redactor; a job's own credentials are added to it."""
    return Redactor(
        [
            *_of_settings(settings),
            *settings.destinations.secrets(),
            *_of_key_file(settings),
            *_of_variables(settings, variables),
            *_of_registries(variables),
            *also,
        ]
    )


def _of_settings(settings: Settings) -> Iterator[str]:
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        for each in value if isinstance(value, tuple) else (value,):
            yield from _of_setting(name, each)


def _of_setting(name: str, value: object) -> Iterator[str]:
    match value:
        case SecretStr():
            secret = value.get_secret_value()
            if name not in ONLY_ADDRESSES or list(secrets_in_address(secret)):
                yield secret
            yield from _within(secret)
            if name in ("secret_key", "tracking_guard_key"):
                yield from keys_in(secret)
            if name == "flower_basic_auth":
                yield secret.partition(":")[2]
        case str():
            yield from secrets_in_address(value)


def _of_key_file(settings: Settings) -> Iterator[str]:
    with suppress(OSError, UnicodeError):  # created at the first start; readable by its owner only
        yield from keys_in((settings.secret_key_file or settings.data_dir / "secret.key").read_text())


def _of_variables(settings: Settings, variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        is_lent = name in settings.project_env_allowlist
        if is_private(name) and (is_lent or SECRET_NAME.search(name)) and _is_telling(value):
            yield value
            yield from _within(value)
        else:
            yield from secrets_in_address(value)  # such as a proxy's password


def _is_telling(value: str) -> bool:
    """Return whether it is unmistakable in a log: not a short word or number, nor a path on this machine."""
    if len(value) < SHORT:
        return WORD_OR_NUMBER.fullmatch(value) is None
    return not (value.startswith("/") and os.path.exists(value))


def _of_registries(variables: Mapping[str, str]) -> Iterator[str]:
    """Yield what `docker login` saved for the worker's user."""
    home = variables.get("DOCKER_CONFIG") or f"{variables.get('HOME', '')}/.docker"
    with suppress(OSError, ValueError, AttributeError):
        logins = json.loads((Path(home) / "config.json").read_text()).get("auths", {})
        for login in logins.values():
            yield from _of_login(login)


def _of_login(login: Mapping[str, str]) -> Iterator[str]:
    yield from (login[name] for name in ("auth", "identitytoken", "registrytoken", "password") if login.get(name))
    pair = base64.b64decode(login.get("auth", "")).decode(errors="replace").strip("\0")
    yield from (pair, pair.partition(":")[2])


def _within(value: str) -> Iterator[str]:
    """Yield the parts that are secret themselves: of an address, a connection string, a key file in JSON."""
    yield from secrets_in_address(value)
    pairs = [each.partition("=") for each in value.split(";")] if ";" in value else []
    yield from (secret.strip() for name, _, secret in pairs if SECRET_NAME.search(name.strip()))
    if value.lstrip().startswith(("{", "[")):
        with suppress(ValueError):
            yield from _in_json(json.loads(value))


def _in_json(value: Any, name: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _in_json(item, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from _in_json(item, name)
    elif isinstance(value, str) and SECRET_NAME.search(name):
        yield value
