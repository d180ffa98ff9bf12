"""Defines the audit's entries: who did what, to what, when, from where, with which outcome; each chained to the last.

`mypackage.audit_chain` checks the chain by the same form; a test compares the two.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Protocol

from shared.access.acts import Act

NO_HASH = "0" * 64  # before the first entry
NOT_PRINTED = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
LENGTHS = {"caller": 255, "team": 63, "action": 63, "subject": 300, "reason": 2000, "address": 63, "request_id": 64}


class Outcome(StrEnum):
    """What became of it."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class NewEntry:
    """What somebody did, or was refused."""

    caller: str
    kind: str  # of the caller
    team: str | None
    action: str  # the operation's id
    subject: str  # job:ID, trigger:NAME, model:NAME, host:NAME, token:NAME, channel:NAME
    outcome: str
    reason: str  # of a refusal the error's code
    address: str
    request_id: str

    @classmethod
    def of(cls, act: Act, subject: str, *, outcome: Outcome = Outcome.DONE, reason: str = "") -> "NewEntry":
        """Return the entry about an act; what is too long for the record is cut."""
        caller = act.caller
        texts = {
            "caller": caller.name,
            "team": caller.team,
            "action": act.action,
            "subject": subject,
            "reason": reason,
            "address": act.address,
            "request_id": act.request_id,
        }
        cut: dict[str, Any] = {name: _clean(value, LENGTHS[name]) for name, value in texts.items()}
        return cls(kind=str(caller.kind), outcome=str(outcome), **cut)


@dataclass(frozen=True, kw_only=True)
class AuditEntry(NewEntry):
    """An entry in its place. Numbers have no gap."""

    number: int
    at: datetime
    hash: str  # of the entry, and of the hash of the one before

    @classmethod
    def after(cls, number: int, hashed: str, new: NewEntry, at: datetime) -> "AuditEntry":
        """Return the entry that follows the one with this number and hash."""
        placed = cls(**vars(new), number=number + 1, at=at, hash="")
        return cls(**{**vars(placed), "hash": hash_of(hashed, placed.record())})

    def record(self) -> dict[str, Any]:
        """Return it as it is hashed, answered and exported."""
        return vars(self) | {"at": f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"}


@dataclass(frozen=True)
class AuditFilter:
    """Which entries; None means any."""

    caller: str | None = None
    action: str | None = None
    subject: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Audit(Protocol):
    """The record of what was done, which is only ever added to. Each method may raise StoreUnavailable.

    What the store itself changes for somebody it records in the same transaction: see `shared.access.acts`.
    """

    def record_entries(self, entries: Sequence[NewEntry]) -> None:
        """Add entries about what changed nothing: refusals and failures."""

    def list_audit(self, where: AuditFilter, *, limit: int, before_number: int | None = None) -> Sequence[AuditEntry]:
        """Return the entries that match, the newest first."""


def hash_of(before: str, record: dict[str, Any]) -> str:
    """Return the hash that chains a record to the one with the hash before."""
    form = json.dumps({name: value for name, value in record.items() if name != "hash"}, sort_keys=True)
    return hashlib.sha256(f"{before}\n{form}".encode()).hexdigest()


def _clean(value: str | None, length: int) -> str | None:
    return NOT_PRINTED.sub("\ufffd", value)[:length] if value is not None else None
