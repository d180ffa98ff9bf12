"""Renews a claim's lease while its attempt is prepared and supervised, and reports when it is lost."""

import logging
import threading
from contextvars import copy_context
from types import TracebackType
from typing import Self

from shared.errors import LeaseLost, StoreUnavailable
from shared.jobs.records import Claim
from shared.jobs.store import Claims

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3
END_SECONDS = 1  # a hung call must not hold up the worker; a late renewal is harmless, and ends the thread


class LeaseKeeper:
    """Renews a claim's lease in its own thread, so that the claim is not lost to a slow git host."""

    def __init__(self, claim: Claim, *, store: Claims, lease_seconds: float) -> None:
        self._claim = claim
        self._store = store
        self._lease_seconds = lease_seconds
        self._lost = threading.Event()
        self._done = threading.Event()
        work, name = copy_context().run, f"lease-{claim.job.id}"
        self._thread = threading.Thread(target=work, args=(self._renew,), name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join(END_SECONDS)

    def check(self) -> None:
        """Raise LeaseLost if another worker holds the job now."""
        if self._lost.is_set():
            raise LeaseLost("The lease was lost while the attempt was supervised.", job_id=self._claim.job.id)

    def _renew(self) -> None:
        while not self._done.wait(self._lease_seconds / RENEWALS_PER_LEASE):
            try:
                self._store.renew(self._claim, lease_seconds=self._lease_seconds)
            except LeaseLost:
                self._lost.set()
                return
            except StoreUnavailable as error:
                # Nobody else can take the job over either: go on, and renew once the store is back.
                logger.warning("lease not renewed", extra={"cause": error.message})
