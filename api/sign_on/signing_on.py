"""Finds out whom single sign-on says that a request is from: by a signed token, or by a trusted proxy."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flask import Request

from api.sign_on.proxy import ProxySignOn
from shared.access.callers import Caller
from shared.settings import Settings

if TYPE_CHECKING:
    from api.sign_on.signed_tokens import SignedTokens

FORM = re.compile(r"^eyJ[A-Za-z0-9_-]{1,8000}\.[A-Za-z0-9_-]{1,12000}\.[A-Za-z0-9_-]{0,2000}$")


@dataclass(frozen=True)
class SignOn:
    """Both ways, as far as they are set up."""

    proxy: ProxySignOn
    signed: "SignedTokens | None"

    @classmethod
    def of(cls, settings: Settings) -> "SignOn":
        """Return what the settings say."""
        return cls(ProxySignOn.of(settings), _signed_tokens(settings))

    def find_caller(self, asked: Request, token: str | None) -> Caller | None:
        """Return the person, if one has signed in. A token of another form is not for single sign-on to judge."""
        if token and not is_signed_token(token):
            return None
        return self.signed.caller(token) if token and self.signed else self.proxy.find_caller(asked)


def is_signed_token(token: str) -> bool:
    """Return whether it has the form of a JWT."""
    return FORM.match(token) is not None


def _signed_tokens(settings: Settings) -> "SignedTokens | None":
    if not settings.oidc_issuer:
        return None
    from api.sign_on.signed_tokens import SignedTokens  # noqa: PLC0415 - 3 MB and 0.1 s of PyJWT, where no issuer is

    return SignedTokens.of(settings)
