"""Stores tokens, by their hashes."""

import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from shared.access.roles import Role
from shared.access.tokens import NewToken, TokenRecord
from shared.errors import StoreUnavailable, TokenEnded, TokenExists, TokenNotFound
from shared.sql.access.tables import tokens
from shared.sql.engine import Database, Transaction
from shared.words import is_known, read_word

USE_IS_NOTED_AFTER = timedelta(minutes=1)
HASHED: sa.BindParameter[str] = sa.bindparam("hashed", type_=tokens.c.hash.type)
FIND = sa.select(tokens).where(sa.or_(tokens.c.hash == HASHED, tokens.c.previous_hash == HASHED))


class Tokens(Database):
    """The part of the JobStore about tokens."""

    def create_token(self, new: NewToken) -> TokenRecord:
        """Record it."""
        try:
            with self.writing() as transaction:
                now, seconds = transaction.now, new.expires_in_seconds
                values: dict[str, Any] = {**vars(new), "roles": tuple(new.roles)}
                values.pop("expires_in_seconds")
                expires = now + timedelta(seconds=seconds) if seconds is not None else None
                statement = sa.insert(tokens).returning(tokens)
                times = {"id": str(uuid.uuid4()), "created_at": now, "expires_at": expires}
                transaction.record_act(f"token:{new.name}")
                return to_token(transaction.execute(statement, **values, **times).one())
        except IntegrityError:
            raise TokenExists(
                f"There was a token {new.name!r} already, and a name stays with its holder in the audit. "
                "Choose another one.",
                token=new.name,
            ) from None

    def find_token(self, hashed: str) -> TokenRecord | None:
        """Return the token with this hash."""
        with self.reading() as transaction:
            row = transaction.one(FIND, hashed=hashed)
            if row is None or not _is_valid(row, hashed, transaction.now):
                return None
            now = transaction.now
        if row.used_at is None or now - row.used_at > USE_IS_NOTED_AFTER:
            with suppress(StoreUnavailable), self.writing() as transaction:  # a locked database still lets people read
                transaction.execute(sa.update(tokens).where(tokens.c.id == row.id).values(used_at=now))
        return to_token(row)

    def get_token(self, name: str) -> TokenRecord:
        """Return it."""
        with self.reading() as transaction:
            return to_token(_read(transaction, name))

    def rotate_token(self, name: str, *, hashed: str, hint: str, overlap_seconds: float) -> TokenRecord:
        """Give it another secret."""
        with self.writing() as transaction:
            row, now = _read(transaction, name, for_update=True), transaction.now
            if not _is_valid(row, row.hash, now):
                raise TokenEnded.of(name)
            fresh = {"hash": hashed, "hint": hint, "rotated_at": now}
            before = {"previous_hash": row.hash, "previous_until": now + timedelta(seconds=overlap_seconds)}
            transaction.execute(sa.update(tokens).where(tokens.c.id == row.id).values(**fresh, **before))
            transaction.record_act(f"token:{name}")
            return to_token(_read(transaction, name))

    def revoke_token(self, name: str) -> TokenRecord:
        """Let nobody in by it any more."""
        with self.writing() as transaction:
            row = _read(transaction, name, for_update=True)
            if row.revoked_at is None:
                ended = sa.update(tokens).where(tokens.c.id == row.id).values(revoked_at=transaction.now)
                transaction.execute(ended)
                transaction.record_act(f"token:{name}")
            return to_token(_read(transaction, name))

    def list_tokens(self) -> Sequence[TokenRecord]:
        """Return all, by name."""
        with self.reading() as transaction:
            return [to_token(row) for row in transaction.all(sa.select(tokens).order_by(tokens.c.name))]

    def has_admin_token(self) -> bool:
        """Return whether somebody could administer with a token of the record."""
        with self.reading() as transaction:
            now = transaction.now
            rows = transaction.all(sa.select(tokens).where(tokens.c.revoked_at.is_(None)))
            return any(Role.ADMIN in to_token(row).roles and _is_valid(row, row.hash, now) for row in rows)


def to_token(row: sa.Row[Any]) -> TokenRecord:
    """Return the record; roles of a later version say nothing here."""
    known = {name: getattr(row, name) for name in TokenRecord.__dataclass_fields__ if name != "roles"}
    roles = (read_word(Role, word) for word in row.roles)
    return TokenRecord(**known, roles=frozenset(role for role in roles if is_known(role)))


def _read(transaction: Transaction, name: str, *, for_update: bool = False) -> sa.Row[Any]:
    statement = sa.select(tokens).where(tokens.c.name == name)
    row = transaction.one(statement.with_for_update() if for_update else statement)
    if row is None:
        raise TokenNotFound(f"There is no token {name!r}. GET /tokens lists those that exist.", token=name)
    return row


def has_ended(row: sa.Row[Any], now: datetime) -> bool:
    """Return whether the token of this row was revoked or has expired."""
    return row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now)


def _is_valid(row: sa.Row[Any], hashed: str, now: datetime) -> bool:
    if has_ended(row, now):
        return False
    return row.hash == hashed or (row.previous_until is not None and row.previous_until > now)
