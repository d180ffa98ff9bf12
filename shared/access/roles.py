"""Defines roles, and the rights that each has."""

from collections.abc import Iterable
from enum import StrEnum


class Right(StrEnum):
    """What an operation needs. Each role may read."""

    READ = "read"
    SUBMIT = "submit"  # and cancel or repeat one's own jobs
    OPERATE = "operate"  # any job, hosts, triggers, alerts
    APPROVE = "approve"  # promotions, rollbacks
    ADMINISTER = "administer"  # tokens, the audit


class Role(StrEnum):
    """What a caller is. It may be several."""

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"

    @property
    def rights(self) -> frozenset[Right]:
        """What it may do."""
        return RIGHTS[self]


RIGHTS = {
    Role.VIEWER: frozenset({Right.READ}),
    Role.SUBMITTER: frozenset({Right.READ, Right.SUBMIT}),
    Role.OPERATOR: frozenset({Right.READ, Right.SUBMIT, Right.OPERATE}),
    Role.APPROVER: frozenset({Right.READ, Right.APPROVE}),
    Role.ADMIN: frozenset(Right),
}


def rights_of(roles: Iterable[Role]) -> frozenset[Right]:
    """Return what somebody with all of these roles may do."""
    return frozenset().union(*(role.rights for role in roles))


def roles_with(right: Right) -> list[Role]:
    """Return the roles that have the right, the least first."""
    return [role for role in Role if right in role.rights]
