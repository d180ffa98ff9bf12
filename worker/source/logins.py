"""Decides who is shown a login: no host before it asks, and then only the host whose login it is.

git itself tells who asks, because it has nothing to answer with: the login is not in its environment until then.
"""

import re
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from urllib.parse import urlsplit

from shared.addresses.git_uri import Credentials

DEFAULT_PORTS = {"http": 80, "https": 443}
ASKING = re.compile(r"^fatal: could not read (?:Username|Password) for '([^'\n]*)'", re.MULTILINE)


class LoginUse(Enum):
    """What became of a repository's login; its error depends on it."""

    NONE = auto()  # there is none for its host
    NOT_ASKED_FOR = auto()
    SHOWN = auto()


@dataclass(frozen=True)
class Logins:
    """The logins of one checkout, each for its own origin, and the repositories whose hosts asked for theirs."""

    known: tuple[Credentials, ...] = ()
    _asking: set[str] = field(default_factory=set)

    def plus(self, credentials: Credentials | None) -> "Logins":
        """Return the same with another login, which comes first at its own origin."""
        return replace(self, known=(credentials, *self.known)) if credentials else self

    def of(self, address: str) -> Credentials | None:
        """Return the login of the origin (scheme, host and port) that the address is on."""
        origin = origin_of(address)
        of_origin = (each for each in self.known if origin and origin_of(each.origin) == origin)
        return next((each for each in of_origin if each.reaches(address)), None)

    def shown_to(self, uri: str) -> Credentials | None:
        """Return the login of a repository whose host asked for it."""
        return self.of(uri) if uri in self._asking else None

    def answer(self, uri: str, complaints: str) -> bool:
        """Note whether git complains that this repository's own host asks; return whether a login can now be shown."""
        asker = asking_host(complaints)
        if uri in self._asking or asker is None or origin_of(asker) != origin_of(uri) or not self.of(uri):
            return False
        self._asking.add(uri)
        return True

    def use(self, uri: str) -> LoginUse:
        """Return what became of the repository's login."""
        if not self.of(uri):
            return LoginUse.NONE
        return LoginUse.SHOWN if uri in self._asking else LoginUse.NOT_ASKED_FOR


def asking_host(complaints: str) -> str | None:
    """Return the address of the host that asks for a login, as git names it; a redirect may have led there."""
    found = ASKING.search(complaints)
    return found[1] if found else None


def origin_of(address: str) -> str | None:
    """Return the address's scheme, host and port in one spelling, or None if it is no web address."""
    try:
        parts = urlsplit(address)
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    return f"{parts.scheme}://{parts.hostname}:{port}" if parts.hostname else None
