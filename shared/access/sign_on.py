"""The settings of single sign-on."""

from collections.abc import Callable
from ipaddress import ip_address
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from shared.access.roles import Role
from shared.access.tokens import is_team
from shared.environment_settings import EnvironmentSettings

ALL = "*"  # for a group: everybody; for a team: all of them
HEADER = r"^([A-Za-z][A-Za-z0-9-]{0,63})?$"
TAKEN = frozenset({"authorization", "cookie", "host", "origin", "forwarded", "x-forwarded-for", "x-forwarded-host"})
CLAIM = r"^[!-~]{1,200}$"

Groups = tuple[tuple[str, str], ...]
Roles = tuple[tuple[str, Role], ...]


def pairs(known: Callable[[str], bool], what: str) -> Callable[[Any], Any]:
    """Return what takes group=WORD pairs apart; a group may hold a "=" itself, so the last one counts."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = [tuple(part.strip() for part in each.rpartition("=")[::2]) for each in value.split(",") if each.strip()]
        for group, word in found:
            if not group or not known(word):
                raise ValueError(f"must be group=WORD, comma separated, where WORD is {what}; not {group}={word}")
        return found

    return read


def header(name: str) -> str:
    """Return a header's name; raise ValueError for one that has another meaning."""
    if name.lower() in TAKEN:
        raise ValueError(f"must be a header of the proxy's own, such as X-Auth-Request-Email; {name} says other things")
    return name


def issuer(url: str) -> str:
    """Return an issuer's address; raise ValueError for one that others could answer for."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        is_safe = parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(host))
        if url and (not host or not is_safe or parts.query or parts.fragment or "@" in parts.netloc or parts.port == 0):
            raise ValueError
    except ValueError:
        raise ValueError("must be an address with https://, such as https://login.example.com/realms/ml") from None
    return url


def _is_this_machine(host: str) -> bool:
    return host == "localhost" or (host[:1].isdigit() and ip_address(host).is_loopback)


ROLE_WORDS = ", ".join(Role)
HeaderName = Annotated[str, AfterValidator(header), Field(pattern=HEADER)]
RolesOfGroups = Annotated[Roles, NoDecode, BeforeValidator(pairs(lambda word: word in [*Role], f"one of {ROLE_WORDS}"))]
TeamsOfGroups = Annotated[
    Groups, NoDecode, BeforeValidator(pairs(lambda word: word == ALL or is_team(word), "a team, or * for all"))
]


class SignOnVariables(EnvironmentSettings):
    """Each field is one environment variable of the same name in capitals."""

    auth_header: HeaderName = Field(
        "",
        description="Header in which a proxy of API_TRUSTED_PROXIES says who has signed in; empty for none.",
        examples=["X-Auth-Request-Email"],
    )
    auth_groups_header: HeaderName = Field(
        "", description="Header in which it lists that person's groups.", examples=["X-Auth-Request-Groups"]
    )
    auth_roles: RolesOfGroups = Field(
        (),
        description="Roles of groups, as group=role, comma separated; the group * is everybody who signs in.",
        examples=["ml-team=submitter,ml-leads=approver,ml-ops=admin"],
    )
    auth_teams: TeamsOfGroups = Field(
        (),
        description="Teams of groups, likewise, and the first that fits counts; the team * is all teams. With any, "
        "whoever has none is refused.",
        examples=["ml-vision=vision,ml-ops=*"],
    )
    auth_default_role: Role | Literal["none"] = Field(
        Role.VIEWER, description="Role of people in no group of AUTH_ROLES; none to let them do nothing."
    )
    oidc_issuer: Annotated[str, AfterValidator(issuer)] = Field(
        "",
        description="OpenID Connect issuer whose signed tokens (JWT) are taken as bearer tokens, as its tokens spell "
        "it; empty for none.",
        examples=["https://login.example.com/realms/ml"],
    )
    oidc_audience: str = Field("", description="Audience (aud) that its tokens must have.", examples=["retrain"])
    oidc_name_claim: str = Field(
        "sub", pattern=CLAIM, description="Claim that names a person: unique, and never given to another."
    )
    oidc_groups_claim: str = Field(
        "groups", pattern=CLAIM, description="Claim with groups or roles, such as realm_access.roles."
    )
