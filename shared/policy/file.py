"""Reads POLICY_FILE: strictly at the start, and again when it changes. A wrong change leaves what holds."""

import logging
import threading
import time
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

from pydantic import ValidationError

from shared.errors import ConfigurationError
from shared.policy.rules import Document, Rules, Table

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1.0
MAX_BYTES = 1_000_000
TABLES = ("default", "team", "role")


class PolicyFile:
    """The rules of the file as they are now; without a file, none."""

    def __init__(self, path: Path | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._reading = threading.Lock()
        self._looked_at = clock()
        self._stamp = self._stamp_now()
        self._document = read_policy(path) if path is not None else Document()

    def rules_of(self, team: str | None, roles: Iterable[str]) -> Rules:
        """Return what holds for a caller of this team, with these roles."""
        with self._reading:
            if self._path is not None and self._clock() - self._looked_at >= LOOK_EVERY_SECONDS:
                self._looked_at = self._clock()
                self._look()
            document = self._document
        return document.rules_of(team, roles)

    def _look(self) -> None:
        stamp = self._stamp_now()
        if self._path is None or stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._document = read_policy(self._path)
            logger.info("policy read again", extra={"file": str(self._path)})
        except ConfigurationError as error:
            logger.error("the policy that was read before still holds", extra={"cause": error.message})

    def _stamp_now(self) -> tuple[int, ...]:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return ()
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found else ()


def read_policy(path: Path) -> Document:
    """Read the file; raise ConfigurationError naming file, table and key of each thing that is wrong."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise ConfigurationError(f"POLICY_FILE {path} is longer than {MAX_BYTES} bytes.")
        value = tomllib.loads(text.decode())
    except OSError as error:
        raise ConfigurationError(f"POLICY_FILE {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"POLICY_FILE {path} is not TOML: {error}.") from error
    try:
        return Document.model_validate(value)
    except ValidationError as error:
        wrong = "; ".join(_said(each["loc"], each["type"], each["msg"]) for each in error.errors(include_input=False))
        raise ConfigurationError(f"POLICY_FILE {path}: {wrong}.") from error


def _said(where: tuple[int | str, ...], kind: str, message: str) -> str:
    depth = 1 if where[0] not in ("team", "role") else 2
    table = f"[{'.'.join(map(str, where[:depth]))}]"
    key = ".".join(str(each) for each in where[depth:])
    if where[0] not in TABLES:
        return f"{table} is unknown; tables are [default], [team.NAME] and [role.NAME]"
    if key == "[key]":
        names = "viewer, submitter, operator, approver, admin" if where[0] == "role" else "a word"
        return f"{table} is not a name of a {where[0]}, which is {names}"
    if kind == "extra_forbidden":
        return f"{table} has the unknown key {key}; known are {', '.join(Table.model_fields)}"
    said = message.removeprefix("Value error, ")
    return f"{table} {key} {said}" if key else f"{table} must be a table"
