"""Defines the rules of POLICY_FILE, and how they combine; pure.

Begin with [default]; put [team.NAME] over it, key by key, and then [role.NAME] of each role that the caller has, from
viewer to admin. What is said last of a key counts, and a key that nobody says bounds nothing. Administrators have no
exception, unless [role.admin] makes one.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.access.roles import Role
from shared.policy.image_patterns import allows_image
from shared.requests.parts import memory_bytes
from shared.requests.texts import Word
from shared.triggers.patterns import matches

ANY = "any"
ANYTHING = ("*",)
PATTERN = re.compile(r"^[^\s\[\]?]{1,500}$")  # no other sign of shells than the star
FOLDER_OR_VOLUME = re.compile(r"^(/[^:*]*|[A-Za-z0-9][A-Za-z0-9_.-]*)$")


def _patterns(value: Any) -> tuple[str, ...]:
    if value == ANY:
        return ANYTHING
    if not isinstance(value, list) or not all(isinstance(each, str) and PATTERN.match(each) for each in value):
        raise ValueError('must be a list of patterns such as ["ghcr.io/acme/*"], where * is anything, or "any"')
    return tuple(value)


def _folders(value: Any) -> tuple[str, ...]:
    if value == ANY:
        return ANYTHING
    if not isinstance(value, list) or not all(isinstance(e, str) and FOLDER_OR_VOLUME.match(e) for e in value):
        raise ValueError('must be a list of folders or Docker volumes such as ["/srv/data"], without *, or "any"')
    return tuple(value)


def _number(value: Any) -> float:
    if value == ANY:
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError('must be a number from 0 on, or "any"')
    return value


def _bytes(value: Any) -> float:
    if value == ANY:
        return math.inf
    if not isinstance(value, str):
        raise ValueError('must be a size such as "8g" or "512m", or "any"')
    return memory_bytes(value)


Patterns = Annotated[tuple[str, ...], BeforeValidator(_patterns)]
Folders = Annotated[tuple[str, ...], BeforeValidator(_folders)]
Number = Annotated[float, BeforeValidator(_number)]
Bytes = Annotated[float, BeforeValidator(_bytes)]


class Table(BaseModel):
    """One table of the file. What is left out is not said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: Patterns = Field(ANYTHING, description="images that projects may name")
    git_hosts: Patterns = Field(ANYTHING, description="hosts of git_uri, and of dataset_repo where that is in git")
    queues: Patterns = Field(ANYTHING, description="queues")
    networks: Patterns = Field(ANYTHING, description="Docker networks of the hosts that may train it")
    variables: Patterns = Field(ANYTHING, description="variables of the worker that docker_env may copy")
    volumes: Folders = Field(ANYTHING, description="folders, with all below, and volumes that docker_env may mount")
    cpus: Number = Field(math.inf, description="cores")
    memory: Bytes = Field(math.inf, description="memory")
    gpus: Number = Field(math.inf, description="GPUs")
    run_seconds: Number = Field(math.inf, description="length of a training")
    queue_seconds: Number = Field(math.inf, description="wait in the queue")
    priority: Number = Field(math.inf, description="priority")


class Document(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    default: Table = Field(default_factory=Table)
    team: dict[Word, Table] = Field(default_factory=dict)
    role: dict[Role, Table] = Field(default_factory=dict)

    def rules_of(self, team: str | None, roles: Iterable[str]) -> "Rules":
        """Return what holds for a caller of this team, with these roles; a role of a later version says nothing."""
        said = {"default": self.default}
        if team is not None and team in self.team:
            said[f"team.{team}"] = self.team[team]
        has = frozenset(roles)
        said |= {f"role.{role}": self.role[role] for role in Role if role in has and role in self.role}
        return Rules.over(said)


@dataclass(frozen=True)
class Rules:
    """What holds for one caller, and which table says it."""

    table: Table = field(default_factory=Table)
    said_in: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def over(cls, tables: Mapping[str, Table]) -> "Rules":
        """Return the tables, each over those before it."""
        values: dict[str, Any] = {}
        said_in: dict[str, str] = {}
        for name, table in tables.items():
            values |= {key: getattr(table, key) for key in table.model_fields_set}
            said_in |= dict.fromkeys(table.model_fields_set, f"[{name}]")
        return cls(Table.model_construct(_fields_set=set(values), **values), said_in)

    def allows(self, key: str, word: str) -> bool:
        """Return whether a list has a pattern for the word."""
        patterns: tuple[str, ...] = getattr(self.table, key)
        if key == "images":
            return allows_image(patterns, word)
        return any(matches(pattern, word) for pattern in patterns)

    def most(self, key: str) -> float:
        """Return a maximum; infinity for none."""
        number: float = getattr(self.table, key)
        return number

    def why(self, key: str) -> str:
        """Return what a refusal says of where a limit comes from, and who may lift it."""
        table = self.said_in.get(key, "[default]")
        return f"{key} in {table} of POLICY_FILE; an operator of this service may change that"


NO_RULES = Rules()
