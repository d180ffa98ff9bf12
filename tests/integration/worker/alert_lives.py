"""Lives of jobs and of workers for tests of alerts: both take turns as the dice fall."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

from shared.alerts.model import Trial
from shared.errors import JobEnded
from shared.jobs.model import JobState
from shared.jobs.records import Claim
from shared.links import Links
from shared.secrets.redactor import Redactor
from shared.sql import SqlStore
from tests.support.alerting.discord import TIMEOUTS
from tests.support.jobs import FAILED, SUCCEEDED, submit, try_claim
from worker.alerts.discord.channel import Discord
from worker.alerts.seam import Answer, News

JOBS = 6


class Killed(Exception):
    """The worker died here."""


class MortalChannel:
    """A channel whose worker dies before some of its posts."""

    def __init__(self, url: str, dies: Callable[[], bool]) -> None:
        endpoint = replace(Discord.endpoint(url, "42"), timeout_seconds=TIMEOUTS)
        self._discord = Discord(endpoint, links=Links(None, "", None), redactor=Redactor())
        self._dies = dies

    def send(self, news: News) -> Answer:
        """Send, or die."""
        if self._dies():
            raise Killed
        return self._discord.send(news)

    def send_trial(self, trial: Trial) -> Answer:
        """Send a test message."""
        return self._discord.send_trial(trial)


class Life:
    """Jobs that take steps of their lives as the dice fall."""

    def __init__(self, store: SqlStore, dice: Random) -> None:
        self._store, self._dice = store, dice
        self.jobs = [submit(store) for _ in range(JOBS)]
        self._held: dict[str, Claim] = {}

    def step(self) -> None:
        """One job goes on; of each job in a different way."""
        self._store.wake_retries()
        job_id = self._dice.choice(self.jobs)
        job = self._store.get(job_id)
        if job.state is JobState.QUEUED and (claim := try_claim(self._store, job_id, lease_seconds=1e6)):
            self._held[job_id] = claim
        elif job.state is JobState.STARTING:
            self._store.started(self._held[job_id], runner="docker", container="c")
        elif job.state in (JobState.RUNNING, JobState.CANCELLING):
            again = replace(FAILED, retry_in_seconds=1)
            self._store.finish(self._held[job_id], self._dice.choice([SUCCEEDED, FAILED, again, again]))
        if self._dice.random() < 0.05:
            self._cancel(job_id)

    def _cancel(self, job_id: str) -> None:
        try:
            self._store.cancel(job_id, force=False)
        except JobEnded:
            return
