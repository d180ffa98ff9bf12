"""The client's calls about tokens, which say who may do what."""

from collections.abc import Iterable
from json import dumps
from typing import Any
from urllib.parse import quote

from .http import Call, Http


class Tokens:
    """The service's tokens, for administrators. Created by Client, as ``client.tokens``.

    A secret is only in the answer that makes it, so these two calls are not repeated by themselves. Each method that
    takes a name of a token raises Refused with the code TOKEN_NOT_FOUND if there is none.
    """

    def __init__(self, http: Http) -> None:
        self._http = http

    def all(self) -> list[dict[str, Any]]:
        """Return all tokens, by name; those that were revoked or have expired too."""
        answer, _ = self._http.read_object(Call("GET", "/tokens"))
        return list(answer["tokens"])

    def get(self, name: str) -> dict[str, Any]:
        """Return what is known of one."""
        answer, _ = self._http.read_object(Call("GET", _path(name)))
        return answer

    def create(
        self, name: str, roles: Iterable[str], *, team: str | None = None, expires_in_days: float | None = None
    ) -> dict[str, Any]:
        """Make one; ``token`` in the answer is its secret. Raises Refused with the code TOKEN_EXISTS."""
        said = {"name": name, "roles": list(roles), "team": team, "expires_in_days": expires_in_days}
        body = dumps({field: value for field, value in said.items() if value is not None})
        answer, _ = self._http.read_object(Call("POST", "/tokens", body=body, patience_seconds=0))
        return answer

    def rotate(self, name: str, *, overlap_hours: float = 0) -> dict[str, Any]:
        """Replace its secret, by ``token`` in the answer; the one before opens for so many hours still."""
        body = dumps({"overlap_hours": overlap_hours})
        answer, _ = self._http.read_object(Call("POST", f"{_path(name)}/rotate", body=body, patience_seconds=0))
        return answer

    def revoke(self, name: str) -> dict[str, Any]:
        """Let nobody in by it any more. Raises Refused with the code LAST_ADMINISTRATOR if nobody could undo that."""
        answer, _ = self._http.read_object(Call("DELETE", _path(name)))
        return answer


def _path(name: str) -> str:
    return f"/tokens/{quote(name, safe='')}"
