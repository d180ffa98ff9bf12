"""Believes a trusted proxy who a person is: it sends AUTH_HEADER after it has asked for a login."""

from dataclasses import dataclass

from flask import Request

from api.http.behind_proxy import came_from_trusted_proxy
from api.sign_on.people import People
from shared.access.callers import Caller, CallerKind
from shared.settings import Settings


@dataclass(frozen=True)
class ProxySignOn:
    """The headers of the proxy. From all others than API_TRUSTED_PROXIES they say nothing: any client can send them."""

    header: str
    groups_header: str
    people: People

    @classmethod
    def of(cls, settings: Settings) -> "ProxySignOn":
        """Return what the settings say; without a header, it knows nobody."""
        return cls(settings.auth_header, settings.auth_groups_header, People.of(settings))

    def find_caller(self, asked: Request) -> Caller | None:
        """Return whom the proxy names, if one does. A header that was sent twice has a comma, which no name has."""
        if not self._names_somebody(asked) or not came_from_trusted_proxy(asked):
            return None
        groups = asked.headers.get(self.groups_header, "") if self.groups_header else ""
        told = [each.strip() for each in groups.split(",") if each.strip()]
        return self.people.caller(asked.headers[self.header].strip(), told, CallerKind.PROXY)

    def hint(self, asked: Request) -> str:
        """Say why a header that was sent does not count."""
        if not self._names_somebody(asked):
            return ""
        return (
            f" {self.header} counts only from addresses in API_TRUSTED_PROXIES, which this request did not come from."
        )

    def _names_somebody(self, asked: Request) -> bool:
        return bool(self.header) and bool(asked.headers.get(self.header, "").strip())
