"""This host's signs of life, and what follows when they do not get through: its attempts are frozen."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from shared.errors import HostNameTaken, StoreUnavailable
from shared.jobs.store import Hosts
from shared.settings import Settings
from worker.attempt_name import attempt_name, named_context
from worker.host.offer import HostOffer
from worker.resilience import survive
from worker.runners.seam import Handle, Runner

logger = logging.getLogger(__name__)

SIGNS_PER_LOSS = 3  # a host that itself was silent for this part of HOST_LOST_AFTER_SECONDS judges no other one
LOOKS_PER_FREEZE = 20
LOOK_SECONDS = 5.0
NAME_PAUSE_SECONDS = 1.0


class Heartbeat:
    """Tells the store that this host lives, and freezes what trains here when that does not get through.

    A host that is silent for HOST_LOST_AFTER_SECONDS may be given up, its jobs may start elsewhere, and two attempts
    of one job must not run. So all is frozen a good while before, by a thread that waits for no answer of the store;
    it goes on where the store, when it is back, says that the job is still this host's. When the worker before this
    one was last heard of is not known, so a first sign must get through much sooner.
    """

    def __init__(
        self,
        settings: Settings,
        store: Hosts,
        runner: Runner,
        here: HostOffer,
        clock: Callable[[], float] = time.monotonic,
        *,
        on_refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._runner = runner
        self._here = here
        self._clock = clock
        self._on_refused = on_refused
        self._look_seconds = settings.freeze_after_seconds / LOOKS_PER_FREEZE
        self._began_at = clock()
        self._seen_at: float | None = None
        self._is_frozen: bool | None = None  # None: the worker before may have frozen it
        self.is_refused = False  # another machine has this host's name

    def beat_until(self, stopping: threading.Event) -> None:
        """Give signs of life until the worker stops, and then sign off."""
        while not stopping.is_set():
            survive("beat", self.beat)
            stopping.wait(self._settings.sweep_seconds)
        try:
            self._store.leave(self._here.name, self._here.machine)
        except StoreUnavailable as error:  # then it is counted for a minute more
            logger.warning("could not sign off", extra={"cause": error.message})

    def guard_until(self, stopping: threading.Event) -> None:
        """Freeze and thaw until the worker stops."""
        while not stopping.wait(min(LOOK_SECONDS, self._look_seconds)):
            survive("guard", self.guard)

    def take_name(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Give the first sign of life; HostNameTaken where another machine's worker gives its own meanwhile.

        One that was killed gives none: its name is free a minute later, and at once on its own machine.
        """
        first: HostNameTaken | None = None
        while True:
            try:
                return self._say_alive()
            except StoreUnavailable as error:
                logger.warning("waiting for the job store", extra={"cause": error.message})
            except HostNameTaken as error:
                first = first or error
                if _last_sign(error) > _last_sign(first):
                    self._fence(error)
                    raise
                logger.warning("the name may be in use; looking", extra={"cause": error.message})
            pause(NAME_PAUSE_SECONDS)

    def beat(self) -> None:
        """Give one sign of life; where the name has gone to another machine, freeze what trains here, and stop."""
        try:
            self._say_alive()
        except HostNameTaken as error:
            logger.error("this worker stops: another machine has its name", extra={"cause": error.message})
            self._fence(error)
            self._on_refused()

    def _fence(self, error: HostNameTaken) -> None:
        """Let nothing go on here. Where the other one has the same engine, what is there is its own."""
        self.is_refused = True
        machine = self._here.machine
        if machine is None or machine.engine is None or machine.engine != error.facts["engine"]:
            survive("freeze", self._freeze)

    def _say_alive(self) -> None:
        began_at = self._clock()
        gap_seconds = self._settings.host_lost_after_seconds / SIGNS_PER_LOSS
        self._store.beat(self._here.now(), gap_seconds=gap_seconds)
        self._seen_at = began_at

    def guard(self) -> None:
        """Freeze what trains here, or let it go on, as this host was heard of."""
        if self.is_refused:
            return
        if self._is_silent():
            self._freeze()
        elif self._seen_at is not None and self._is_frozen is not False:
            self._thaw()

    def _is_silent(self) -> bool:
        if self._seen_at is None:
            return self._clock() - self._began_at > self._look_seconds
        return self._clock() - self._seen_at > self._settings.freeze_after_seconds

    def _freeze(self) -> None:
        """Each time anew: an attempt may have been started or resumed since the last look."""
        handles = self._runner.list_mine()
        if handles and not self._is_frozen:
            why = "another machine has this host's name" if self.is_refused else "the job store is out of reach"
            logger.warning("training frozen", extra={"why": why, **_containers(handles)})
        self._is_frozen = True
        for handle in handles:  # one that cannot be frozen must not keep the others
            with named_context(handle.name):
                survive("freeze", partial(self._runner.pause, handle))

    def _thaw(self) -> None:
        names = {attempt_name(job) for job in self._store.running_on(self._here.name)}
        mine = [handle for handle in self._runner.list_mine() if handle.name in names]
        resumed = [handle for handle in mine if survive("resume", partial(self._resume, handle))]
        if resumed and self._is_frozen:
            logger.warning("training goes on", extra=_containers(resumed))
        if len(resumed) == len(mine):
            self._is_frozen = False

    def _resume(self, handle: Handle) -> bool:
        with named_context(handle.name):
            self._runner.resume(handle)
        return True


def _last_sign(error: HostNameTaken) -> datetime:
    seen_at = error.facts["seen_at"]
    assert isinstance(seen_at, datetime)  # noqa: S101 - facts are of any type
    return seen_at


def _containers(handles: list[Handle]) -> dict[str, str]:
    return {"containers": ",".join(handle.id for handle in handles)}
