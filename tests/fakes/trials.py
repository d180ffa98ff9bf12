"""The in-memory store's test messages to alert channels."""

import uuid
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime, timedelta

from shared.alerts.model import TRIAL_SECONDS, Trial, TrialState
from shared.sql.test_notifications import KEPT_SECONDS
from tests.fakes.access.audit import MemoryAudit


class MemoryTrials(MemoryAudit):
    """The part of MemoryStore that is about test messages."""

    _trials: dict[str, Trial]

    def _transaction(self) -> AbstractContextManager[datetime]:
        raise NotImplementedError

    def ask_for_trials(self, channels: Collection[str]) -> Sequence[Trial]:
        with self._transaction() as now:
            oldest = now - timedelta(seconds=KEPT_SECONDS)
            kept = [trial for trial in self._trials.values() if trial.at >= oldest]
            made = [Trial(str(uuid.uuid4()), channel, now) for channel in sorted(channels)]
            self._trials = {trial.id: trial for trial in (*kept, *made)}
            for trial in made:
                self._record_act(f"channel:{trial.channel}", now)
            return made

    def take_trial(self, channels: Collection[str]) -> Trial | None:
        with self._transaction() as now:
            awaited_since = now - timedelta(seconds=TRIAL_SECONDS)
            waiting = [each for each in self._trials.values() if each.state is TrialState.WAITING]
            mine = [each for each in waiting if each.channel in channels and each.at > awaited_since]
            if not mine:
                return None
            oldest = min(mine, key=lambda each: (each.at, each.id))
            taken = replace(oldest, state=TrialState.TAKEN)
            self._trials[taken.id] = taken
            return taken

    def end_trial(self, trial: Trial) -> None:
        with self._transaction():
            if trial.id in self._trials:
                self._trials[trial.id] = trial

    def list_trials(self, ids: Collection[str]) -> Sequence[Trial]:
        with self._transaction():
            found = [trial for trial in self._trials.values() if trial.id in ids]
            return sorted(found, key=lambda each: each.channel)
