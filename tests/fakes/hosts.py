"""What the in-memory store knows of hosts: their signs of life, and which of them are lost."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

from shared.errors import HostNotFound
from shared.figures import Worker
from shared.limits import LIVE_SECONDS, Drain, Host
from shared.store import Claim
from tests.fakes.records import Beat, Record, nobody_holds


class MemoryHosts:
    """The part of MemoryStore that is about hosts."""

    _records: dict[str, Record]
    _beats: dict[str, Beat]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def beat(self, host: Host, *, gap_seconds: float) -> None:
        with self._transaction() as now:
            known = self._beats.get(host.name)
            is_anew = known is None or now - known.seen_at > timedelta(seconds=gap_seconds)
            since = now if known is None or is_anew else known.watching_since
            self._beats[host.name] = Beat(host, now, since, drain=known.drain if known else None)

    def leave(self, host: str) -> None:
        with self._transaction():
            if known := self._beats.get(host):
                self._beats[host] = replace(known, has_left=True)

    def forget_hosts(self, *, silent_seconds: float) -> Sequence[str]:
        with self._transaction() as now:
            needed = {record.job.host for record in self._records.values() if record.is_supervised}
            until = now - timedelta(seconds=silent_seconds)
            gone = [
                name
                for name, known in self._beats.items()
                if known.seen_at <= until and known.drain is None and name not in needed
            ]
            for name in gone:
                del self._beats[name]
            return sorted(gone)

    def drain(self, host: str, *, reason: str) -> Worker:
        with self._transaction() as now:
            known = self._beat_of(host)
            before = known.drain or Drain(now, "")
            return self._change_drain(known, Drain(before.since, reason or before.reason), now)

    def undrain(self, host: str) -> Worker:
        with self._transaction() as now:
            return self._change_drain(self._beat_of(host), None, now)

    def _change_drain(self, known: Beat, drain: Drain | None, now: datetime) -> Worker:
        changed = self._beats[known.said.name] = replace(known, drain=drain)
        return self._worker(changed, now)

    def _beat_of(self, host: str) -> Beat:
        if host not in self._beats:
            raise HostNotFound(f"No worker of a host {host!r} ever gave a sign of life.")
        return self._beats[host]

    def _as_wanted(self, host: Host) -> Host:
        known = self._beats.get(host.name)
        return host.drained(known.drain if known else None)

    def live_workers(self, *, within_seconds: float) -> int:
        with self._transaction() as now:
            return len(self._live(now, within_seconds))

    def find_lost(self, *, by: str, after_seconds: float) -> Sequence[str]:
        with self._transaction() as now:
            lost = [one for one in self._records.values() if self._is_lost(one, by, after_seconds, now)]
            return [one.job.id for one in sorted(lost, key=lambda one: one.job.queued_at)]

    def take_from_lost_host(self, job_id: str, *, by: str, after_seconds: float, lease_seconds: float) -> Claim | None:
        with self._transaction() as now:
            record = self._records.get(job_id)
            if record is None or not self._is_lost(record, by, after_seconds, now):
                return None
            silent_seconds = int((now - self._heard_at(record)).total_seconds())
            record.change(lease_expires_at=now + timedelta(seconds=lease_seconds))
            gave_up = f"its attempt is given up by the worker on {by}"
            record.note(f"host {record.job.host} gave no sign of life for {silent_seconds} s; {gave_up}", now)
            record.token += 1
            return Claim(record.job, record.token)

    def _worker(self, known: Beat, now: datetime) -> Worker:
        supervised = [one for one in self._records.values() if one.is_supervised and one.job.host == known.host.name]
        supervised.sort(key=lambda one: (one.job.queued_at, one.job.id))
        silent_seconds = max(0.0, (now - known.seen_at).total_seconds())
        running = tuple(one.running for one in supervised)
        return Worker(known.host, known.seen_at, silent_seconds, known.has_left, running)

    def _is_lost(self, record: Record, by: str, after_seconds: float, now: datetime) -> bool:
        silence, watcher = timedelta(seconds=after_seconds), self._beats.get(by)
        if watcher is None or watcher.has_left or watcher.watching_since > now - silence:
            return False
        if watcher.seen_at < now - min(silence, timedelta(seconds=LIVE_SECONDS)):
            return False
        is_free = record.is_supervised and nobody_holds(record.job, now)
        return is_free and self._heard_at(record) <= now - silence

    def _heard_at(self, record: Record) -> datetime:
        known = self._beats.get(record.job.host or "")
        return known.seen_at if known else record.job.attempt.started_at

    def _live(self, now: datetime, within_seconds: float = LIVE_SECONDS) -> Sequence[Host]:
        since = now - timedelta(seconds=within_seconds)
        return [known.host for known in self._beats.values() if known.seen_at > since and not known.has_left]
