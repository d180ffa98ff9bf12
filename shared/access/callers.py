"""Defines who asks for something, and to whom a thing belongs."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Protocol

from shared.access.roles import Right, Role, rights_of


class CallerKind(StrEnum):
    """How a caller showed who it is."""

    TOKEN = "token"  # noqa: S105 - a word, not a secret
    ENVIRONMENT = "environment"  # one of API_TOKENS
    MACHINE = "machine"  # without tokens: a program on the API's own machine
    PROXY = "proxy"  # AUTH_HEADER of a trusted proxy
    OIDC = "oidc"  # a JWT of OIDC_ISSUER
    SIGNATURE = "signature"  # of a webhook
    SERVICE = "service"  # a worker: a trigger that fired, a decision
    NOBODY = "nobody"  # not shown


class Owned(Protocol):
    """What belongs to somebody: a job, a trigger, a model."""

    @property
    def submitted_by(self) -> str | None:
        """The name of the caller that made it; None for those of older versions."""

    @property
    def team(self) -> str | None:
        """The team of that caller; None for none."""


@dataclass(frozen=True)
class Maker:
    """Who made a job or a trigger, as both record it."""

    submitted_by: str | None
    team: str | None
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Caller:
    """Who asks. Names of different kinds never collide: see each kind's way to make them."""

    name: str
    kind: CallerKind
    roles: frozenset[Role] = frozenset()
    team: str | None = None
    token_id: str | None = None  # of a record in the store

    @cached_property
    def rights(self) -> frozenset[Right]:
        """What it may do, to what it may act on at all."""
        return rights_of(self.roles)

    def may_see(self, thing: Owned, *, isolated: bool) -> bool:
        """Return whether it may know of a thing. With isolation, a team's things are for the team and the teamless."""
        return not isolated or self.is_of_all_teams or thing.team == self.team

    def may_act_on(self, thing: Owned, *, isolated: bool) -> bool:
        """Return whether it may change a thing: an operator any that it sees, others their own."""
        own = Right.SUBMIT in self.rights and thing.submitted_by == self.name
        return self.may_see(thing, isolated=isolated) and (Right.OPERATE in self.rights or own)

    @property
    def as_maker(self) -> Maker:
        """Return the caller as what it makes records it."""
        return Maker(self.name, self.team, tuple(sorted(self.roles)))

    @property
    def is_of_all_teams(self) -> bool:
        """Whether teams do not bound it: it has none, or administers."""
        return self.team is None or Right.ADMINISTER in self.rights


ENVIRONMENT = "env-"
GATE = Caller("gate", CallerKind.SERVICE)  # what moves aliases, once it is decided
FILES = Caller("file", CallerKind.SERVICE, frozenset({Role.ADMIN}))  # whoever writes the triggers of TRIGGERS_DIR
MACHINE = Caller("local", CallerKind.MACHINE, frozenset({Role.ADMIN}))  # without tokens, whoever is here may do all
NOBODY = Caller("nobody", CallerKind.NOBODY)
METRICS_READER = Caller("metrics", CallerKind.ENVIRONMENT, frozenset({Role.VIEWER}))  # kept to GET /metrics


def firing(trigger: str, team: str | None) -> Caller:
    """Return a trigger that fires in a worker."""
    return Caller(f"trigger:{trigger}", CallerKind.SERVICE, team=team)


def signer(trigger: str) -> Caller:
    """Return who knows a trigger's secret."""
    return Caller(f"trigger:{trigger}", CallerKind.SIGNATURE)


def environment_caller(number: int) -> Caller:
    """Return the holder of one of API_TOKENS, counted from 1."""
    return Caller(f"{ENVIRONMENT}{number}", CallerKind.ENVIRONMENT, frozenset({Role.ADMIN}))
