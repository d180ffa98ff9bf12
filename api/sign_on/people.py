"""Makes a caller of the name and groups that another service tells of a person."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from api.http.errors import NotAllowed, NotAuthenticated
from shared.access.callers import Caller, CallerKind
from shared.access.roles import Role
from shared.access.sign_on import ALL, Groups, Roles
from shared.settings import Settings

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@+|:/=~-]{0,199}$")  # an address of mail, or an issuer's subject
PREFIX = "sso:"  # no token's name has a colon


@dataclass(frozen=True)
class People:
    """Which group has which role, and is which team. The first team of a person counts."""

    roles: Roles = ()
    teams: Groups = ()
    default_role: Role | None = Role.VIEWER

    @classmethod
    def of(cls, settings: Settings) -> "People":
        """Return what the settings say."""
        default = settings.auth_default_role
        return cls(settings.auth_roles, settings.auth_teams, default if isinstance(default, Role) else None)

    def caller(self, name: str, groups: Collection[str], kind: CallerKind) -> Caller:
        """Return the caller; raise NotAuthenticated for what is no name, NotAllowed for one without a team."""
        if not NAME.match(name):
            raise NotAuthenticated("Single sign-on gives you a name that is none here: letters, digits and ._@+|:/=~-")
        roles = frozenset(role for group, role in self.roles if group in (*groups, ALL))
        if not roles and self.default_role is not None:
            roles = frozenset({self.default_role})
        return Caller(f"{PREFIX}{name}", kind, roles, self._team(groups, is_admin=Role.ADMIN in roles))

    def _team(self, groups: Collection[str], *, is_admin: bool) -> str | None:
        team = next((team for group, team in self.teams if group in (*groups, ALL)), None)
        if team is None and self.teams and not is_admin:  # without a team, it would be of all
            raise NotAllowed("None of your groups has a team here. An administrator adds one to AUTH_TEAMS.")
        return None if team == ALL else team
