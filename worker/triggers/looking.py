"""Takes triggers that are due, has each looked at, and records what becomes of it."""

import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from shared.errors import AttemptError, ConfigurationError, LeaseLost
from shared.jobs.triggers import Due, Entry, Kind, Occurrence, Outcome, Settled, Settlement, Trigger, Verdict
from shared.logs import job_context
from shared.policy.asked import bounded
from shared.policy.file import PolicyFile
from shared.queue import JobQueue, send_for_flower, send_or_leave_to_sweep
from shared.requests.retrain_request import RetrainRequest
from shared.secrets.redactor import Redactor
from shared.triggers.new_jobs import made_by, new_job, with_gpus
from shared.triggers.records import policy_of, when_of
from worker.aside import Aside
from worker.credentials.keys import Keyring
from worker.interruption import WorkerStopping
from worker.resilience import survive
from worker.triggers import dataset, jobs, observations, ticks
from worker.triggers.inputs import Inputs, find_inputs, seen_inputs
from worker.triggers.seam import FAILURES, Around, Found, Look, Looker

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 1
LEASE_SECONDS = 300  # for one look, longer than what it waits for
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 30, 300  # after looks that failed; of data at most its own interval
SLOW_AT_A_TIME = 4
STOP_SECONDS = 3  # in which slow looks learn that the worker stops, and give their triggers back
LOOKERS: Mapping[Kind, Looker] = {
    Kind.CRON: ticks.look,
    Kind.EVERY: ticks.look,
    Kind.DATASET: dataset.look,
    Kind.JOB: jobs.look,
    Kind.OBSERVATIONS: observations.look,
}
QUICK = tuple(kind for kind in Kind if kind is not Kind.DATASET)


@dataclass(frozen=True)
class TriggerLooking:
    """One worker's looks at triggers: slow ones a few at a time in threads of their own, the others one by one."""

    around: Around
    queue: JobQueue
    keyring: Keyring
    redactor: Redactor
    policy: PolicyFile = field(default_factory=PolicyFile)

    def run_until(self, stopping: threading.Event) -> None:
        """Look until the worker stops."""
        aside = Aside(SLOW_AT_A_TIME, step="look_at_trigger")
        while not stopping.is_set():
            if not survive("look_at_triggers", partial(self._next, aside)):
                stopping.wait(LOOK_EVERY_SECONDS)
        aside.wait(STOP_SECONDS)

    def once(self) -> bool:
        """Look at the next trigger that is due; return whether there was one."""
        due = self.around.store.take_due_trigger(lease_seconds=LEASE_SECONDS)
        if due is not None:
            self._settle(due)
        return due is not None

    def _next(self, aside: Aside) -> bool:
        """Take the next one, of the quick kinds only while all threads for slow looks are busy."""
        kinds = tuple(Kind) if aside.is_free else QUICK
        due = self.around.store.take_due_trigger(lease_seconds=LEASE_SECONDS, kinds=kinds)
        if due is None:
            return False
        if _is_slow(due) and aside.is_free:
            aside.start(partial(self._settle, due))
        else:
            self._settle(due)
        return True

    def _settle(self, due: Due) -> None:
        try:
            found = self._look(due)
        except WorkerStopping:  # the next worker need not wait for the end of the lease
            found = Settlement(look_at=due.now)
        with suppress(LeaseLost):  # it was changed or paused meanwhile: what was found may be wrong by now
            for settled in self.around.store.settle_trigger(due, found):
                self._tell(settled)

    def _look(self, due: Due) -> Settlement:
        trigger = due.trigger
        try:
            template = RetrainRequest.from_record(trigger.template)
            look = Look(
                due=due,
                when=when_of(trigger.when),
                policy=policy_of(trigger.policy),
                template=template,
                secrets=self.keyring.of_job(due.secret, trigger, template),
            )
            found = LOOKERS[trigger.kind](look, self.around) if trigger.kind in LOOKERS else Found()
            waiting = tuple(event.occurrence for event in due.waiting)
            asked = dict[tuple[str, str | None], Inputs]()
            entries = [self._entry(look, each, found, asked) for each in (*waiting, *found.occurrences)]
        except AttemptError as error:  # of what was to be looked at: a host that does not answer, a wrong address
            message = self.redactor.plus(look.secrets.all).text(error.message)
            return _nothing_found(due, message)
        except ConfigurationError as error:  # this worker has another SECRET_KEY than the API
            return _nothing_found(due, error.message)
        noted = [Entry(occurrence=occurrence, verdict=verdict) for occurrence, verdict in found.noted]
        seen = _without_failures(trigger) if found.seen is None else found.seen
        return Settlement(entries=(*noted, *entries), since=found.since, seen=seen, look_at=found.look_at)

    def _entry(
        self, look: Look, occurrence: Occurrence, found: Found, asked: dict[tuple[str, str | None], Inputs]
    ) -> Entry:
        """Prepare the job that the occurrence may become, on what was found right now; nobody is ``asked`` twice."""
        changes = dict(occurrence.changes)
        pinned = changes.pop("dataset_repo", None)  # beside the request, which keeps the address that its project knows
        request = with_gpus(look.template.model_copy(update=changes), self.around.settings.default_gpus)
        maker = look.due.trigger
        request = bounded(request, self.policy.rules_of(maker.team, maker.roles), self.around.settings)
        inputs = seen_inputs(request, pinned=pinned, seen=found.data)
        if look.policy.skip_if_same_inputs:
            same = (repr(sorted(changes.items())), pinned)
            inputs = asked.get(same) or find_inputs(look, request, self.around, inputs)
            asked[same] = inputs
        new = new_job(
            request,
            self.around.settings,
            secret=look.due.secret,
            **made_by(look.due.trigger),
            trigger_name=look.due.trigger.name,
            triggered_by=_by(look.due.trigger, occurrence, inputs),
            commit_sha=inputs.commit_sha,
            dataset_repo=inputs.dataset_repo,
            base_model_version=inputs.base_model_version,
        )
        return Entry(occurrence=occurrence, new=new, inputs=inputs.compared)

    def _tell(self, settled: Settled) -> None:
        event = settled.event
        if settled.job is None:
            logger.debug("not fired", extra={"trigger": event.trigger, "outcome": event.outcome})
            return
        with job_context(settled.job):
            logger.info("trigger fired", extra={"trigger": event.trigger, "cause": event.reason})
            send_or_leave_to_sweep(settled.job, queue=self.queue, unmark=self.around.store)
        for each in settled.ended:
            send_for_flower(each, queue=self.queue)


def _by(trigger: Trigger, occurrence: Occurrence, inputs: Inputs) -> dict[str, Any]:
    """Return what the job says of where it comes from."""
    by = {"trigger": trigger.name, "kind": trigger.kind, "key": occurrence.key, "at": _iso(occurrence.at)}
    told = {name: value for name in ("data", "watched") if (value := getattr(inputs, name)) is not None}
    return {**by, "facts": dict(occurrence.facts), **told}


def _is_slow(due: Due) -> bool:
    """Return whether the look asks others, each of which may take a minute to answer."""
    return due.trigger.kind not in QUICK or policy_of(due.trigger.policy).skip_if_same_inputs


def _nothing_found(due: Due, message: str) -> Settlement:
    """Note that a look failed, and look again after a longer and longer pause; what waits waits on."""
    verdict = Verdict(Outcome.UNREACHABLE, f"unreachable: {message}")
    entry = Entry(occurrence=Occurrence("", due.now), verdict=verdict)
    failures = int(due.trigger.seen.get(FAILURES, 0))
    again = due.now + timedelta(seconds=min(FIRST_PAUSE_SECONDS * 2 ** min(failures, 30), _longest_pause(due.trigger)))
    until = replace(verdict, outcome=Outcome.WAITING, until=again)
    waiting = [Entry(occurrence=event.occurrence, verdict=until) for event in due.waiting]
    return Settlement(entries=(entry, *waiting), seen={**due.trigger.seen, FAILURES: failures + 1}, look_at=again)


def _longest_pause(trigger: Trigger) -> float:
    watched = when_of(trigger.when).dataset
    return watched.look_every_seconds if watched else LONGEST_PAUSE_SECONDS


def _without_failures(trigger: Trigger) -> Mapping[str, Any] | None:
    """Return what it has seen, where failed looks were counted in it; None leaves that."""
    if FAILURES not in trigger.seen:
        return None
    return {name: value for name, value in trigger.seen.items() if name != FAILURES}


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")
