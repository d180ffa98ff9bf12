"""Checks tokens that an OpenID Connect issuer has signed (JWT). PyJWT does the checking; here is what it must check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from api.http.errors import NotAuthenticated
from api.sign_on.issuer import Issuer
from api.sign_on.people import People
from shared.access.callers import Caller, CallerKind
from shared.settings import Settings

# Only with a public key: "none" has no signature, and HS256 would take the public key for a shared secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LEEWAY_SECONDS = 30
MOST_GROUPS = 1000
NOT_VALID = "This token is not one that the issuer has made for this service."


@dataclass(frozen=True)
class SignedTokens:
    """The tokens of one issuer for one audience."""

    issuer: Issuer
    audience: str
    name_claim: str
    groups_claim: str
    people: People

    @classmethod
    def of(cls, settings: Settings) -> "SignedTokens":
        """Return what the settings say of their issuer. Nothing is fetched yet."""
        names = settings.oidc_name_claim, settings.oidc_groups_claim
        return cls(Issuer(settings.oidc_issuer), settings.oidc_audience, *names, People.of(settings))

    def caller(self, token: str) -> Caller:
        """Return whose token it is; raise NotAuthenticated, NotAllowed or IssuerUnavailable."""
        try:
            claims = self._claims(token)
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("This token has expired. Sign in again.") from None
        except (jwt.PyJWTError, RecursionError) as error:
            raise NotAuthenticated(f"{NOT_VALID} ({type(error).__name__})") from None
        name, groups = claims.get(self.name_claim), _claim(claims, self.groups_claim)
        if not isinstance(name, str):
            raise NotAuthenticated(f"This token has no claim {self.name_claim!r} that names you (OIDC_NAME_CLAIM).")
        return self.people.caller(name, _texts(groups), CallerKind.OIDC)

    def _claims(self, token: str) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in ALGORITHMS or not isinstance(header.get("kid"), str):
            raise NotAuthenticated(f"{NOT_VALID} Its algorithm is none of {', '.join(ALGORITHMS)}, or it names no key.")
        return jwt.decode(
            token,
            self.issuer.key(header["kid"]),
            algorithms=ALGORITHMS,
            audience=self.audience,
            issuer=self.issuer.url,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
        )


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Return a claim by its name, which may be an address, or else by its path: realm_access.roles."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return (value,)
    return [each for each in value[:MOST_GROUPS] if isinstance(each, str)] if isinstance(value, list) else ()
