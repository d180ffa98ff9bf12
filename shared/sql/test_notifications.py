"""Test messages to alert channels: asked for by the API, sent by a worker, and deleted soon after."""

import uuid
from collections.abc import Collection, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from shared.alerts.model import TRIAL_SECONDS, Trial, TrialState
from shared.sql.engine import Database
from shared.sql.tables import alert_trials as trials

KEPT_SECONDS = 3600
FIELDS = [field.name for field in fields(Trial)]


class Trials(Database):
    """The part of the JobStore that is about test messages."""

    def ask_for_trials(self, channels: Collection[str]) -> Sequence[Trial]:
        """Ask for a test message to each channel."""
        with self.writing() as transaction:
            too_old = trials.c.at < transaction.now - timedelta(seconds=KEPT_SECONDS)
            transaction.execute(sa.delete(trials).where(too_old))
            made = [Trial(str(uuid.uuid4()), channel, transaction.now) for channel in sorted(channels)]
            for trial in made:
                transaction.execute(sa.insert(trials).values({name: getattr(trial, name) for name in FIELDS}))
                transaction.record_act(f"channel:{trial.channel}")
            return made

    def take_trial(self, channels: Collection[str]) -> Trial | None:
        """Take the oldest test message that somebody may still be waiting for."""
        with self.writing() as transaction:
            is_awaited = trials.c.at > transaction.now - timedelta(seconds=TRIAL_SECONDS)
            waiting = (trials.c.state == TrialState.WAITING, trials.c.channel.in_(channels), is_awaited)
            oldest = sa.select(trials).where(*waiting).order_by(trials.c.at, trials.c.id).limit(1)
            row = transaction.one(oldest.with_for_update(skip_locked=True))
            if row is None:
                return None
            transaction.execute(sa.update(trials).where(trials.c.id == row.id).values(state=TrialState.TAKEN))
            return _to_trial(row, state=TrialState.TAKEN)

    def end_trial(self, trial: Trial) -> None:
        """Record the outcome."""
        with self.writing() as transaction:
            ended = sa.update(trials).where(trials.c.id == trial.id)
            transaction.execute(ended.values(state=trial.state, cause=trial.cause))

    def list_trials(self, ids: Collection[str]) -> Sequence[Trial]:
        """Return these test messages, by channel."""
        with self.reading() as transaction:
            found = sa.select(trials).where(trials.c.id.in_(ids)).order_by(trials.c.channel)
            return [_to_trial(row, state=row.state) for row in transaction.all(found)]


def _to_trial(row: sa.Row[Any], *, state: TrialState) -> Trial:
    return Trial(row.id, row.channel, row.at, state, row.cause)
