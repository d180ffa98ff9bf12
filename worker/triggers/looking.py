"""Takes triggers that are due, has each looked at, and records what becomes of it."""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.errors import AttemptError, LeaseLost
from shared.jobs.triggers import Due, Entry, Kind, Occurrence, Outcome, Settled, Settlement, Verdict
from shared.logs import job_context
from shared.queue import JobQueue, send_or_leave_to_sweep
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.redactor import Redactor
from shared.secrets.vault import Vault
from shared.triggers.new_jobs import new_job, with_gpus
from shared.triggers.records import policy_of, when_of
from worker.resilience import survive
from worker.triggers import ticks
from worker.triggers.inputs import Inputs, find_inputs
from worker.triggers.seam import Around, Found, Look, Looker

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1
LEASE_SECONDS = 300  # for one look, longer than what it waits for
AGAIN = timedelta(minutes=5)  # after a look that failed
LOOKERS: Mapping[Kind, Looker] = {Kind.CRON: ticks.look, Kind.EVERY: ticks.look}


@dataclass(frozen=True)
class TriggerLooking:
    """One worker's looks at triggers, one at a time."""

    around: Around
    queue: JobQueue
    vault: Vault
    redactor: Redactor

    def run_until(self, stopping: threading.Event) -> None:
        """Look until the worker stops."""
        while not stopping.is_set():
            if not survive("look_at_triggers", self.once):
                stopping.wait(LOOK_EVERY_SECONDS)

    def once(self) -> bool:
        """Look at the next trigger that is due; return whether there was one."""
        store = self.around.store
        due = store.take_due_trigger(lease_seconds=LEASE_SECONDS)
        if due is None:
            return False
        with suppress(LeaseLost):  # it was changed or paused meanwhile: what was found may be wrong by now
            for settled in store.settle_trigger(due, self._look(due)):
                self._tell(settled)
        return True

    def _look(self, due: Due) -> Settlement:
        trigger = due.trigger
        try:
            look = Look(
                due=due,
                when=when_of(trigger.when),
                policy=policy_of(trigger.policy),
                template=RetrainRequest.from_record(trigger.template),
                secrets=self.vault.open(due.secret),
            )
            found = LOOKERS[trigger.kind](look, self.around) if trigger.kind in LOOKERS else Found()
            waiting = tuple(event.occurrence for event in due.waiting)
            entries = [self._entry(look, each, found) for each in (*waiting, *found.occurrences)]
        except AttemptError as error:  # of what was to be looked at: a host that does not answer, a wrong address
            message = self.redactor.plus(self.vault.open(due.secret).all).text(error.message)
            return _nothing_found(due, message)
        noted = [Entry(occurrence=occurrence, verdict=verdict) for occurrence, verdict in found.noted]
        return Settlement(entries=(*noted, *entries), since=found.since, seen=found.seen, look_at=found.look_at)

    def _entry(self, look: Look, occurrence: Occurrence, found: Found) -> Entry:
        """Prepare the job that the occurrence may become, on what was found right now."""
        request = with_gpus(
            look.template.model_copy(update=dict(occurrence.changes)), self.around.settings.default_gpus
        )
        inputs = Inputs()
        if look.policy.skip_if_same_inputs:
            inputs = find_inputs(look, request, self.around, data=found.data)
        trigger = look.due.trigger
        facts = {"commit_sha": inputs.commit_sha, "dataset_repo": inputs.dataset_repo, "trigger_name": trigger.name}
        by = {"trigger": trigger.name, "kind": trigger.kind, "key": occurrence.key, "at": _iso(occurrence.at)}
        told = {"facts": dict(occurrence.facts), **({"data": inputs.data} if inputs.data else {})}
        new = new_job(request, self.around.settings, secret=look.due.secret, triggered_by={**by, **told}, **facts)
        return Entry(occurrence=occurrence, new=new, inputs=inputs.compared)

    def _tell(self, settled: Settled) -> None:
        event = settled.event
        if settled.job is None:
            logger.debug("not fired", extra={"trigger": event.trigger, "outcome": event.outcome})
            return
        with job_context(settled.job):
            logger.info("trigger fired", extra={"trigger": event.trigger, "cause": event.reason})
            send_or_leave_to_sweep(settled.job, queue=self.queue, unmark=self.around.store)


def _nothing_found(due: Due, message: str) -> Settlement:
    """Note that a look failed, and look again later; what waits waits on."""
    verdict = Verdict(Outcome.UNREACHABLE, f"unreachable: {message}")
    entry = Entry(occurrence=Occurrence("", due.now), verdict=verdict)
    waiting = [
        Entry(occurrence=event.occurrence, verdict=Verdict(Outcome.WAITING, verdict.reason, due.now + AGAIN))
        for event in due.waiting
    ]
    return Settlement(entries=(entry, *waiting), look_at=due.now + AGAIN)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
