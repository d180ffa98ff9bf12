"""Keeps this host's disk and the store's history in bounds, and closes the host while its disk is nearly full."""

import logging
from dataclasses import dataclass

from shared.jobs.store import JobStore
from shared.jobs.triggers import EVENTS_KEPT, EVENTS_KEPT_DAYS
from shared.scheduling.hosts import QueueCode
from shared.settings import Settings
from worker.host.disk import DiskGuard
from worker.host.offer import HostOffer
from worker.source.checkout import GitSource

logger = logging.getLogger(__name__)

DAY_SECONDS = 86400
HOST_DAYS = 7  # without a heartbeat; a host that comes back is known again at once
DELETED_AT_ONCE = 500


@dataclass(frozen=True)
class Cleaning:
    """The sweep's part about space. It removes nothing in use, and no image that this service did not pull."""

    settings: Settings
    store: JobStore
    source: GitSource
    disk: DiskGuard
    here: HostOffer

    def look_at_disk(self) -> None:
        """Take no new attempts while the disk is nearly full even after deleting what can be deleted."""
        is_low = self.disk.is_low()
        if is_low:
            self.disk.clean()
            is_low = self.disk.is_low()
        was_low = self.here.closed_because is QueueCode.DISK_FULL
        if is_low and not was_low:
            logger.error("disk nearly full: no new attempts here", extra={"least_bytes": self.settings.disk_low_bytes})
        if was_low and not is_low:
            logger.info("disk has room again")
        self.here.closed_because = QueueCode.DISK_FULL if is_low else None

    def tidy(self) -> None:
        """Delete mirrors that were unused for long, hosts that are gone, and old history if the operator wants that."""
        self.source.remove_mirrors(self.settings.mirror_days * DAY_SECONDS)
        for host in self.store.forget_hosts(silent_seconds=HOST_DAYS * DAY_SECONDS):
            logger.info("forgot a host that is gone", extra={"host": host})
        self.store.forget_trigger_events(older_than_days=EVENTS_KEPT_DAYS, most=EVENTS_KEPT)
        if self.settings.retention_days is not None:
            older_than_seconds = self.settings.retention_days * DAY_SECONDS
            if count := self.store.delete_ended(older_than_seconds=older_than_seconds, limit=DELETED_AT_ONCE):
                logger.info("deleted ended jobs", extra={"count": count})
