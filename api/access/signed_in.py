"""Knows people by the cookie of a session, which they get for a token that they showed once. Only pages take it."""

import hashlib
from collections.abc import Callable, Sequence

from flask import Request

from api.access.authorisation import act
from api.access.known_tokens import ended_since
from api.http.request_ids import request_id
from shared.access.acts import Act, acting
from shared.access.callers import Caller, environment_caller
from shared.access.sessions import NewSession, Sessions, new_cookie, place_of_proof, proof_of
from shared.access.tokens import hash_of

PAGES = "/ui"
COOKIE = "retrain-visit"  # of a browser that has asked for a page; a session's, once somebody has signed in


def is_page(asked: Request) -> bool:
    """Return whether a person's browser asks for one of our pages."""
    return asked.path == PAGES or asked.path.startswith(f"{PAGES}/")


class SignedIn:
    """The people with a session. ``token_hashes``: of the settings' tokens, in their order."""

    def __init__(self, sessions: Sessions, token_hashes: Sequence[bytes], *, seconds: float) -> None:
        self._sessions, self._hashes, self._seconds = sessions, token_hashes, seconds

    def find_caller(self, asked: Request) -> Caller | None:
        """Return whose session the cookie is, for a page; a session ends with the token that began it."""
        cookie = asked.cookies.get(COOKIE, "") if is_page(asked) else ""
        session = self._sessions.find_session(hash_of(cookie)) if cookie else None
        if session is None:
            return None
        if session.token is not None:
            return session.token.caller
        place = place_of_proof(cookie, session.proof, self._hashes)
        return None if place is None else environment_caller(place + 1)

    def watch(self, asked: Request) -> Callable[[], bool]:
        """Return what says whether the session of this request has ended since, for answers that last."""
        if self.find_caller(asked) is None:
            return lambda: False  # who has none is known by something else
        hashed = hash_of(asked.cookies[COOKIE])
        return ended_since(lambda: self._sessions.find_session(hashed) is None)

    def begin(self, asked: Request, caller: Caller, token: str) -> str:
        """Return the cookie of a new session; whatever cookie there was before means nothing."""
        cookie = new_cookie()
        proof = "" if caller.token_id else proof_of(cookie, hashlib.sha256(token.encode()).digest())
        new = NewSession(
            hash=hash_of(cookie),
            holder=caller.token_id or caller.name,
            token_id=caller.token_id,
            proof=proof,
            expires_in_seconds=self._seconds,
        )
        with acting(Act(caller, "signIn", asked.remote_addr or "", request_id())):
            self._sessions.create_session(new)
        return cookie

    def end(self, asked: Request) -> None:
        """End the session of the cookie that was sent, if it has one."""
        if cookie := asked.cookies.get(COOKIE):
            with acting(act("signOut")):
                self._sessions.end_session(hash_of(cookie))
