"""Knows what this machine offers now: slots, queues, labels, GPUs, and whether it takes new attempts."""

import logging
import time
from collections.abc import Collection
from dataclasses import replace

from shared.errors import InfrastructureError
from shared.requests.retrain_request import KNOWN_FIELDS
from shared.scheduling.hosts import Host, Machine, QueueCode
from shared.settings import Settings
from worker.runners.firewall import is_fresh
from worker.runners.gpus import gpus_of
from worker.runners.seam import Runner

GPU_LABEL, CPU_LABEL = "gpu", "cpu"
LEAST_SLOTS = 2  # where nobody says how many

logger = logging.getLogger(__name__)


class HostOffer:
    """What this host offers. Tasks read it, the sweep writes it. It has no GPU before the containers are checked."""

    def __init__(self, settings: Settings, runner: Runner, machine: Machine | None = None) -> None:
        self._settings = settings
        self._runner = runner
        self._machine = machine
        self._gpus: tuple[str, ...] | None = None
        self._offered: tuple[str, ...] = ()
        self.slots = settings.slots or LEAST_SLOTS
        self.closed_because: QueueCode | None = None
        self.seen_at = 0.0

    @property
    def name(self) -> str:
        """The host's name in the records."""
        return self._settings.worker_host

    @property
    def machine(self) -> Machine | None:
        """Which machine has the name, with its engine as soon as that is known."""
        return self._machine

    def now(self) -> Host:
        """Return what it offers at this moment."""
        return Host(
            name=self._settings.worker_host,
            slots=self.slots,
            queues=self._settings.worker_queues,
            runner=self._runner.kind,
            gpus=self._offered,
            closed_because=self.closed_because or self._why_unguarded(),
            labels=tuple(sorted(self._settings.worker_labels | self._found_labels())),
            machine=self._machine,
            knows=KNOWN_FIELDS,
        )

    def _why_unguarded(self) -> QueueCode | None:
        """Check whenever an attempt is to start: without the firewall, training goes on but none starts."""
        file = self._settings.training_firewall_file
        return None if file is None or is_fresh(file) else QueueCode.NO_FIREWALL

    def _found_labels(self) -> set[str]:
        """Return the labels that jobs may ask for without the operator setting them, once they are known."""
        if self._gpus is None:
            return set()
        return {GPU_LABEL if self._gpus else CPU_LABEL}

    def look_around(self) -> None:
        """Find out what there is, before the worker starts; the slots then stay, as Celery has one thread for each."""
        try:
            self.find_engine()
            gpus = self._find_gpus()
        except InfrastructureError as error:
            logger.warning("GPUs are not known yet", extra={"cause": error.message})
        else:
            self.slots = self._settings.slots or max(LEAST_SLOTS, len(gpus))

    def find_engine(self) -> None:
        """Ask the runner for its engine until it is known: an attempt begun on another engine cannot go on here."""
        if self._machine is not None and self._machine.engine is None and (engine := self._runner.find_engine()):
            says = f"{self._machine.says.removesuffix(')')}, engine {engine[:12]})"
            self._machine = replace(self._machine, engine=engine, says=says)

    def _find_gpus(self) -> tuple[str, ...]:
        if self._gpus is None:
            self._gpus = gpus_of(self._settings.retrain_gpus, self._runner)
            logger.info("GPUs of this host", extra={"gpus": ",".join(self._gpus) or "none"})
        return self._gpus

    def offer_gpus(self, *, held: Collection[str]) -> None:
        """Offer this host's GPUs, except those used by containers that belong to no job.

        Called after the containers here were compared with the job store; ``seen_at`` is when (Unix, in seconds).
        """
        self._offered = tuple(gpu for gpu in self._find_gpus() if gpu not in held)
        self.seen_at = time.time()
