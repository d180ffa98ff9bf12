"""The in-memory record of the page's sessions."""

from collections.abc import Collection
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from shared.access.sessions import MOST_OF_A_TOKEN, NewSession, Session
from tests.fakes.access.audit import MemoryAudit
from tests.fakes.access.tokens import KeptToken


class MemorySessions(MemoryAudit):
    """The part of the MemoryStore about sessions."""

    _sessions: dict[str, tuple[NewSession, datetime, datetime]]
    _tokens: dict[str, KeptToken]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def create_session(self, new: NewSession) -> None:
        with self._transaction() as now:
            self._forget([hashed for hashed, (_, _, until) in self._sessions.items() if until <= now])
            begun = sorted(
                (since, each.hash) for each, since, _ in self._sessions.values() if each.holder == new.holder
            )
            self._forget([hashed for _, hashed in begun[: max(0, len(begun) + 1 - MOST_OF_A_TOKEN)]])
            self._sessions[new.hash] = (new, now, now + timedelta(seconds=new.expires_in_seconds))
            self._record_act("session", now)

    def find_session(self, hashed: str) -> Session | None:
        with self._transaction() as now:
            if hashed not in self._sessions or self._sessions[hashed][2] <= now:
                return None
            new, since, until = self._sessions[hashed]
            if new.token_id is None:
                return Session(token=None, proof=new.proof, expires_at=until)
            kept = next((each for each in self._tokens.values() if each.token.id == new.token_id), None)
            if kept is None or not kept.opens(kept.hash, now):
                return None
            if kept.token.rotated_at is not None and kept.token.rotated_at >= since:
                return None
            return Session(token=kept.token, proof=new.proof, expires_at=until)

    def end_session(self, hashed: str) -> None:
        with self._transaction() as now:
            if self._forget([hashed]):
                self._record_act("session", now)

    def _forget(self, hashes: Collection[str]) -> bool:
        found = [self._sessions.pop(each, None) for each in hashes]
        return any(found)
