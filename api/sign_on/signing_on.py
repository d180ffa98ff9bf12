"""Finds out whom single sign-on says that a request is from: by a signed token, or by a trusted proxy."""

from dataclasses import dataclass

from flask import Request

from api.sign_on.proxy import ProxySignOn
from api.sign_on.signed_tokens import SignedTokens, is_signed_token
from shared.access.callers import Caller
from shared.settings import Settings


@dataclass(frozen=True)
class SignOn:
    """Both ways, as far as they are set up."""

    proxy: ProxySignOn
    signed: SignedTokens | None

    @classmethod
    def of(cls, settings: Settings) -> "SignOn":
        """Return what the settings say."""
        return cls(ProxySignOn.of(settings), SignedTokens.of(settings))

    def find_caller(self, asked: Request, token: str | None) -> Caller | None:
        """Return the person, if one has signed in. A token of another form is not for single sign-on to judge."""
        if token and not is_signed_token(token):
            return None
        return self.signed.caller(token) if token and self.signed else self.proxy.find_caller(asked)
