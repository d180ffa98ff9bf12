"""The in-memory store's audit."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime

from shared.access.acts import Act, current_act
from shared.access.audit import NO_HASH, AuditEntry, AuditFilter, NewEntry


class MemoryAudit:
    """The part of the MemoryStore that is about the audit."""

    _audit: list[AuditEntry]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def _record_act(self, subject: str, now: datetime, reason: str = "", *, act: Act | None = None) -> None:
        if (act := act or current_act()) is not None:
            self._add(NewEntry.of(act, subject, reason=reason), now)

    def _add(self, new: NewEntry, now: datetime) -> None:
        number, hashed = (self._audit[-1].number, self._audit[-1].hash) if self._audit else (0, NO_HASH)
        self._audit.append(AuditEntry.after(number, hashed, new, now))

    def record_entries(self, entries: Sequence[NewEntry]) -> None:
        with self._transaction() as now:
            for each in entries:
                self._add(each, now)

    def list_audit(self, where: AuditFilter, *, limit: int, before_number: int | None = None) -> Sequence[AuditEntry]:
        with self._transaction():
            found = [each for each in reversed(self._audit) if _matches(each, where)]
            return [each for each in found if before_number is None or each.number < before_number][:limit]


def _matches(entry: AuditEntry, where: AuditFilter) -> bool:
    texts = ("caller", "action", "subject", "outcome")
    is_same = all(getattr(where, name) in (None, getattr(entry, name)) for name in texts)
    is_late = where.since is None or entry.at >= where.since
    return is_same and is_late and (where.until is None or entry.at <= where.until)
