"""What the in-memory store knows of hosts: their signs of life, and which of them are lost."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

from shared.errors import HostNameTaken, HostNotFound
from shared.jobs.records import Claim
from shared.jobs.statistics import Refused, Worker
from shared.scheduling.hosts import LIVE_SECONDS, Drain, Host, Machine
from tests.fakes.access.audit import MemoryAudit
from tests.fakes.records import Beat, Record, nobody_holds


class MemoryHosts(MemoryAudit):
    """The part of MemoryStore that is about hosts."""

    _records: dict[str, Record]
    _beats: dict[str, Beat]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def beat(self, host: Host, *, gap_seconds: float) -> None:
        with self._transaction() as now:
            known = self._beats.get(host.name)
            if known is not None and self._is_taken(known, host, now):
                assert host.machine is not None
                self._beats[host.name] = replace(known, refused=Refused(host.machine.says, now))
                engine = known.said.machine.engine if known.said.machine else None
                message = f"The name {host.name} is in use."
                raise HostNameTaken(message, host=host.name, engine=engine, seen_at=known.seen_at)
            is_anew = known is None or now - known.seen_at > timedelta(seconds=gap_seconds)
            is_another = known is not None and not self._has_name(host)
            since = now if known is None or is_anew or is_another else known.watching_since
            kept = replace(known or Beat(host, now, now), said=host, seen_at=now, watching_since=since, has_left=False)
            self._beats[host.name] = self._with_machine(kept, known, now)

    def _is_taken(self, known: Beat, host: Host, now: datetime) -> bool:
        is_live = not known.has_left and now - known.seen_at < timedelta(seconds=LIVE_SECONDS)
        return is_live and not self._has_name(host)

    def _has_name(self, host: Host) -> bool:
        known = self._beats.get(host.name)
        holder = known.said.machine if known else None
        return holder is None or host.machine is None or holder.id == host.machine.id

    def _with_machine(self, kept: Beat, known: Beat | None, now: datetime) -> Beat:
        mine, before = kept.said.machine, known.said.machine if known else None
        if mine is None:
            return replace(kept, said=replace(kept.said, machine=before))
        is_known = before is not None and before.id == mine.id
        engine = mine.engine or (before.engine if before is not None and is_known else None)
        kept = replace(kept, said=replace(kept.said, machine=replace(mine, engine=engine)))
        if before is not None and is_known and before.engine in (None, engine):
            return kept
        return replace(kept, machine_since=now)

    def leave(self, host: str, machine: Machine | None = None) -> None:
        with self._transaction():
            known = self._beats.get(host)
            if known is None:
                return
            holder = known.said.machine
            if machine is None or holder is None or holder.id == machine.id:
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
        if drain != known.drain:
            self._record_act(f"host:{known.said.name}", now)
        return self._worker(changed, now)

    def _beat_of(self, host: str) -> Beat:
        if host not in self._beats:
            raise HostNotFound(f"No worker of a host {host!r} ever sent a heartbeat.")
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
            record.note(f"host {record.job.host} sent no heartbeat for {silent_seconds} s; {gave_up}", now)
            record.token += 1
            return Claim(record.job, record.token)

    def _worker(self, known: Beat, now: datetime) -> Worker:
        supervised = [one for one in self._records.values() if one.is_supervised and one.job.host == known.host.name]
        supervised.sort(key=lambda one: (one.job.queued_at, one.job.id))
        silent_seconds = max(0.0, (now - known.seen_at).total_seconds())
        running = tuple(one.running for one in supervised)
        return Worker(known.host, known.seen_at, silent_seconds, known.has_left, running, known.refused)

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
        if known is None:
            return record.job.attempt.started_at
        began, holder = record.job.attempt, known.said.machine
        if holder is None or began.machine is None or known.machine_since is None:
            return known.seen_at
        engines = {began.engine, holder.engine} - {None}
        is_another = began.machine != holder.id or len(engines) > 1
        return known.machine_since if is_another else known.seen_at

    def _live(self, now: datetime, within_seconds: float = LIVE_SECONDS) -> Sequence[Host]:
        since = now - timedelta(seconds=within_seconds)
        return [known.host for known in self._beats.values() if known.seen_at > since and not known.has_left]
