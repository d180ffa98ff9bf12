"""Sends alerts from the store's outbox, in its own thread. Many workers may do so at once.

Each alert is sent at least once: if a sender dies after posting and before recording it, the next one sends it again.
"""

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace

from shared.alerts.kinds import what_to_check
from shared.alerts.model import LONGEST_WAIT_SECONDS, Alert, AlertEvent, ModelLine, TrialState
from shared.errors import JobNotFound
from shared.jobs.model import Job
from shared.jobs.promotions import Event
from shared.jobs.store import Outbox
from shared.logs import log_context
from worker.alerts.seam import Answer, Delivers, ModelNews, News, Verdict
from worker.resilience import survive

logger = logging.getLogger(__name__)

POLL_SECONDS, BROKEN_SECONDS = 1.0, 5.0  # between two rounds, and after a failed one
LEASE_SECONDS = 60.0  # longer than a post takes
GIVE_UP_AFTER_SECONDS = 86400.0
STRAY_SECONDS = 60.0  # a channel unknown here may be known to a worker that was started later
FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 1.0, 300.0
OUTPUT_BYTES = 16384
TRIED = {
    Verdict.SENT: TrialState.SENT,
    Verdict.REFUSED: TrialState.REFUSED,
    Verdict.CLOSED: TrialState.REFUSED,
    Verdict.LATER: TrialState.NOT_NOW,
}


@dataclass
class Line:
    """A channel, and when it may be used."""

    channel: Delivers
    free_at: float = 0.0  # on the sender's clock
    asked_until: float = 0.0  # the receiver wants no post before that
    failures: int = 0  # in a row
    is_closed: bool = False


class AlertSender:
    """Sends due alerts, one after the other."""

    def __init__(
        self,
        store: Outbox,
        channels: Mapping[str, Delivers],
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._lines = {name: Line(channel) for name, channel in channels.items()}
        self._clock = clock
        self._jitter = jitter
        self._sent: list[Alert] = []  # sent, but not recorded in the store yet
        self._strays_looked_for_at = -math.inf

    def run_until(self, stopping: threading.Event) -> None:
        """Send until the worker stops."""
        while not stopping.is_set():
            is_sent = survive("alert", self.once)
            stopping.wait(BROKEN_SECONDS if is_sent is None else 0.0 if is_sent else POLL_SECONDS)

    def once(self) -> bool:
        """Send one test message or alert; return False if none is due, or no channel may be used now."""
        self._note_sent()
        if self._try_channel():
            return True
        now = self._clock()
        usable = [name for name, line in self._lines.items() if not line.is_closed and line.free_at <= now]
        alert = self._store.take_alert(usable, lease_seconds=LEASE_SECONDS) if usable else None
        if alert is None:
            return self._drop_stray()
        with _context_of(alert):
            self._tell(alert)
        return True

    def _tell(self, alert: Alert) -> None:
        if alert.age_seconds > GIVE_UP_AFTER_SECONDS:
            self._give_up(alert, "it is too old")
            return
        with suppress(JobNotFound):  # deleted meanwhile, and its alerts with it
            news = self._read(alert)
            with log_context(request_id=news.job.request_id if news.job else None):
                self._follow(alert, self._lines[alert.channel].channel.send(news))

    def _try_channel(self) -> bool:
        """Send a test message, even if the channel is closed; return False if nobody has asked for one."""
        trial = self._store.take_trial(self._lines.keys()) if self._lines else None
        if trial is None:
            return False
        line = self._lines[trial.channel]
        if (left := line.asked_until - self._clock()) > 0:
            answer = Answer(Verdict.LATER, f"it takes no message for another {math.ceil(left)} s")
        else:
            answer = line.channel.send_trial(trial)
            self._note_answer(line, answer)
        state, cause = TRIED[answer.verdict], answer.cause
        if answer.verdict is Verdict.CLOSED:
            cause = f"{cause}; check {what_to_check(trial.channel)}"
        logger.info("channel tried", extra={"channel": trial.channel, "outcome": state, "cause": cause})
        self._store.end_trial(replace(trial, state=state, cause=cause))
        return True

    def _drop_stray(self) -> bool:
        """Give up an alert for a channel that the operator has removed; return False if there is none."""
        if self._clock() < self._strays_looked_for_at + STRAY_SECONDS:
            return False
        stray = self._store.take_stray_alert(
            self._lines.keys(), older_than_seconds=STRAY_SECONDS, lease_seconds=LEASE_SECONDS
        )
        if stray is None:
            self._strays_looked_for_at = self._clock()
            return False
        with _context_of(stray):
            self._give_up(stray, f"this worker has no such channel, or no longer: check {what_to_check(stray.channel)}")
        return True

    def _note_sent(self) -> None:
        """Record what was sent until the store accepts it, because unrecorded alerts are sent again."""
        while self._sent:
            self._store.alert_sent(self._sent[0])
            self._sent.pop(0)

    def _read(self, alert: Alert) -> News:
        if alert.line is not None:
            return News(alert, self._find_job(alert), model=self._about_model(alert.line))
        job = self._store.get(str(alert.job_id))
        if alert.event is not AlertEvent.FAILED or not alert.attempt:
            return News(alert, job)
        log = self._store.read_log(job.id, attempt=alert.attempt, offset=-OUTPUT_BYTES, limit=OUTPUT_BYTES)
        return News(alert, job, log.data.decode(errors="replace"))

    def _find_job(self, alert: Alert) -> Job | None:
        """Return the job, if one wanted the move and is still kept: a model's history outlives it."""
        with suppress(JobNotFound):
            return self._store.get(alert.job_id) if alert.job_id else None
        return None

    def _about_model(self, line: ModelLine) -> ModelNews:
        lines = self._store.lines_of(line.promotion_id)
        [told] = [each for each in lines if each.number == line.number]
        approvals = [each for each in lines if each.event is Event.APPROVED]
        return ModelNews(told, self._store.get_promotion(line.promotion_id), approvals[-1] if approvals else None)

    def _follow(self, alert: Alert, answer: Answer) -> None:
        asked_seconds = self._note_answer(self._lines[alert.channel], answer)
        if answer.verdict is Verdict.LATER:
            logger.warning("alert not sent yet", extra={**_facts(alert), "cause": answer.cause})
            seconds = asked_seconds or self._backoff_seconds(alert.tries)
            self._store.alert_failed(alert, retry_in_seconds=seconds, cause=answer.cause)
        elif answer.verdict is Verdict.SENT:
            logger.info("alert sent", extra=_facts(alert))
            self._sent.append(alert)
            self._note_sent()
        elif answer.verdict is Verdict.REFUSED:
            self._give_up(alert, answer.cause)
        else:  # one line for all, not one for each alert
            advice = f"check {what_to_check(alert.channel)}, and restart the worker, which sends no more there"
            self._give_up(alert, f"{answer.cause}; {advice}")

    def _note_answer(self, line: Line, answer: Answer) -> float:
        """Act on the answer; return how long a pause the channel asks for."""
        asked_seconds = min(answer.pause_seconds or 0.0, LONGEST_WAIT_SECONDS)
        if answer.verdict in (Verdict.SENT, Verdict.CLOSED):  # a test message that gets through opens it again
            line.is_closed = answer.verdict is Verdict.CLOSED
        line.failures = line.failures + 1 if answer.verdict is Verdict.LATER else 0
        line.asked_until = self._clock() + asked_seconds
        line.free_at = line.asked_until
        if answer.verdict is Verdict.LATER and not asked_seconds:
            line.free_at += self._backoff_seconds(line.failures)
        return asked_seconds

    def _backoff_seconds(self, failures: int) -> float:
        """Full jitter."""
        bound = min(LAST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0 ** min(failures - 1, 30))
        return bound * self._jitter()

    def _give_up(self, alert: Alert, cause: str) -> None:
        logger.error("alert given up", extra={**_facts(alert), "cause": cause})
        self._store.alert_failed(alert, retry_in_seconds=None, cause=cause)


def _context_of(alert: Alert) -> AbstractContextManager[None]:
    return log_context(job_id=alert.job_id, attempt=alert.attempt or None)


def _facts(alert: Alert) -> dict[str, object]:
    about = {"model": alert.line.model, "promotion_id": alert.line.promotion_id} if alert.line else {}
    return {"event": alert.event, "channel": alert.channel, **about}
