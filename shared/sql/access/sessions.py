"""Stores sessions of the page, by hashes of their cookies."""

from datetime import timedelta

import sqlalchemy as sa

from shared.access.sessions import MOST_OF_A_TOKEN, NewSession, Session
from shared.sql.access.tables import sessions, tokens
from shared.sql.access.tokens import has_ended, to_token
from shared.sql.engine import Database

FIND = sa.select(sessions).where(sessions.c.hash == sa.bindparam("hashed", type_=sessions.c.hash.type))
ITS_TOKEN = sa.select(tokens).where(tokens.c.id == sa.bindparam("token_id", type_=tokens.c.id.type))


class Sessions(Database):
    """The part of the JobStore about sessions."""

    def create_session(self, new: NewSession) -> None:
        """Record it, and forget those that are over, and its holder's oldest beyond MOST_OF_A_TOKEN."""
        with self.writing() as transaction:
            now = transaction.now
            transaction.execute(sa.delete(sessions).where(sessions.c.expires_at <= now))
            transaction.execute(sa.delete(sessions).where(sessions.c.hash.in_(_too_many(new.holder))))
            times = {"created_at": now, "expires_at": now + timedelta(seconds=new.expires_in_seconds)}
            values = {"hash": new.hash, "holder": new.holder, "token_id": new.token_id, "proof": new.proof, **times}
            transaction.execute(sa.insert(sessions).values(**values))
            transaction.record_act("session")

    def find_session(self, hashed: str) -> Session | None:
        """Return the session of the cookie with this hash."""
        with self.reading() as transaction:
            row, now = transaction.one(FIND, hashed=hashed), transaction.now
            if row is None or row.expires_at <= now:
                return None
            if row.token_id is None:
                return Session(token=None, proof=row.proof, expires_at=row.expires_at)
            token = transaction.one(ITS_TOKEN, token_id=row.token_id)
            has_changed = token is None or (token.rotated_at is not None and token.rotated_at >= row.created_at)
            if token is None or has_changed or has_ended(token, now):
                return None
            return Session(token=to_token(token), proof=row.proof, expires_at=row.expires_at)

    def end_session(self, hashed: str) -> None:
        """Let nobody in by this cookie any more."""
        with self.writing() as transaction:
            ended = transaction.execute(sa.delete(sessions).where(sessions.c.hash == hashed))
            if ended.rowcount:
                transaction.record_act("session")


def _too_many(holder: str) -> sa.Select[tuple[str]]:
    """Select what has to go before one more begins; all of it, so that sessions that began at once are made up for."""
    newest_first = (sessions.c.created_at.desc(), sessions.c.hash)
    found = sa.select(sessions.c.hash).where(sessions.c.holder == holder).order_by(*newest_first)
    return found.offset(MOST_OF_A_TOKEN - 1)
