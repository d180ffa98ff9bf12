"""Keeps a claim alive while its attempt is prepared and watched, and says when it was lost."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from shared.errors import AttemptError, LeaseLost, StoreUnavailable
from shared.store import Claim, JobStore
from worker.runner import Handle, Runner

logger = logging.getLogger(__name__)

RENEWALS_PER_LEASE = 3
LOOKS_PER_FREEZE = 20
END_SECONDS = 1  # a call that hangs must not keep the worker; a late renewal does no harm, and ends the thread


class LeaseKeeper:
    """Renews a claim's lease in a thread of its own, so that a slow git host does not cost the claim.

    A second thread freezes the attempt when no renewal has got through for ``freeze_after_seconds``: soon others
    may give this host up and start the job anew, and two attempts must not run. With the next renewal it goes on.
    """

    def __init__(
        self,
        claim: Claim,
        *,
        store: JobStore,
        runner: Runner,
        lease_seconds: float,
        freeze_after_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._claim = claim
        self._store = store
        self._runner = runner
        self._lease_seconds = lease_seconds
        self._freeze_after_seconds = freeze_after_seconds
        self._clock = clock
        self._renewed_at = clock()
        self._handle: Handle | None = None
        self._is_frozen = False
        self._lost = threading.Event()
        self._done = threading.Event()
        names = ((self._renew, "lease"), (self._guard, "guard"))
        self._threads = [
            threading.Thread(target=loop, name=f"{name}-{claim.job.id}", daemon=True) for loop, name in names
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(END_SECONDS)

    def check(self) -> None:
        """Raise LeaseLost when another worker holds the job now."""
        if self._lost.is_set():
            raise LeaseLost("The lease was lost while the attempt was supervised.", job_id=self._claim.job.id)

    def watch_over(self, handle: Handle) -> None:
        """From now on freeze this attempt when renewals stay away."""
        self._handle = handle

    def _renew(self) -> None:
        while not self._done.wait(self._lease_seconds / RENEWALS_PER_LEASE):
            began_at = self._clock()
            try:
                self._store.renew(self._claim, lease_seconds=self._lease_seconds)
                self._renewed_at = began_at
            except LeaseLost:
                self._lost.set()
                self._done.set()  # what is frozen stays so
                return
            except StoreUnavailable as error:
                # Nobody else can take the job over either: go on, and renew when the store is back.
                logger.warning("lease not renewed", extra={"job_id": self._claim.job.id, "cause": error.message})

    def _guard(self) -> None:
        while not self._done.wait(self._freeze_after_seconds / LOOKS_PER_FREEZE):
            if self._handle is not None:
                self._freeze_or_thaw(self._handle)

    def _freeze_or_thaw(self, handle: Handle) -> None:
        is_stale = self._clock() - self._renewed_at > self._freeze_after_seconds
        if is_stale is self._is_frozen:
            return
        try:
            if is_stale:
                self._runner.pause(handle)
            else:
                self._runner.resume(handle)
        except AttemptError as error:  # tried again in a moment
            logger.warning("not frozen or resumed", extra={"container": handle.id, "cause": error.message})
            return
        self._is_frozen = is_stale
        said = "training frozen: the job store is out of reach" if is_stale else "training goes on"
        logger.warning(said, extra={"job_id": self._claim.job.id, "container": handle.id})
