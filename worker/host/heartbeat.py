"""Sends this host's heartbeats, and freezes its attempts when they do not get through."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from shared.errors import HostNameTaken, StoreUnavailable
from shared.jobs.store import Hosts
from shared.settings import Settings
from worker.attempt_name import attempt_name, attempt_of, named_context
from worker.host.offer import HostOffer
from worker.resilience import survive
from worker.runners.seam import Handle, Runner

logger = logging.getLogger(__name__)

SIGNS_PER_LOSS = 3  # a host that was itself silent for this fraction of HOST_LOST_AFTER_SECONDS judges no other
LOOKS_PER_FREEZE = 20
LOOK_SECONDS = 5.0
NAME_PAUSE_SECONDS = 1.0


class Heartbeat:
    """Tells the store that this host is alive, and freezes the training here when that does not get through.

    A host that is silent for HOST_LOST_AFTER_SECONDS may be given up; its jobs may then start elsewhere, and two
    attempts of one job must not run. So everything is frozen well before that, by a thread that never waits for the
    store. An attempt goes on if the store, once it is back, says that the job still belongs to this host. When the
    previous worker was last heard of is unknown, so the first heartbeat must get through much sooner.
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
        self._is_frozen: bool | None = None  # None: the previous worker may have frozen it
        self.is_refused = False  # another machine has this host's name

    def beat_until(self, stopping: threading.Event) -> None:
        """Send heartbeats until the worker stops, and then sign off."""
        while not stopping.is_set():
            survive("beat", self.beat)
            stopping.wait(self._settings.sweep_seconds)
        try:
            self._store.leave(self._here.name, self._here.machine)
        except StoreUnavailable as error:  # then it counts as alive for another minute
            logger.warning("could not sign off", extra={"cause": error.message})

    def guard_until(self, stopping: threading.Event) -> None:
        """Freeze and thaw until the worker stops."""
        while not stopping.wait(min(LOOK_SECONDS, self._look_seconds)):
            survive("guard", self.guard)

    def take_name(self, pause: Callable[[float], object] = time.sleep) -> None:
        """Send the first heartbeat; raise HostNameTaken if a worker on another machine is sending them under this name.

        A killed worker sends none: its name is free after a minute, and at once on its own machine.
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
        """Send one heartbeat; if another machine now has the name, freeze the training here and stop."""
        try:
            self._say_alive()
        except HostNameTaken as error:
            logger.error("this worker stops: another machine has its name", extra={"cause": error.message})
            self._fence(error)
            self._on_refused()

    def _fence(self, error: HostNameTaken) -> None:
        """Let nothing go on here. If the other machine uses the same engine, what runs there belongs to it."""
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
        """Freeze the training here or let it go on, depending on whether heartbeats get through."""
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
        """Freeze on every look: an attempt may have been started or resumed since the last one."""
        handles = self._runner.list_mine()
        if handles and not self._is_frozen:
            why = "another machine has this host's name" if self.is_refused else "the job store is out of reach"
            logger.warning("training frozen", extra={"why": why, **_containers(handles)})
        self._is_frozen = True
        for handle in handles:  # one that cannot be frozen must not hold up the others
            with named_context(handle.name):
                survive("freeze", partial(self._runner.pause, handle))

    def _thaw(self) -> None:
        names = {attempt_name(job) for job in self._store.running_on(self._here.name)}
        mine = [handle for handle in self._runner.list_mine() if attempt_of(handle.name) in names]
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
