"""Keeps what became of a promotion where people look for it in MLflow: in tags of the run and of the version."""

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from mypackage.protocol import DECISION_TAG, PROMOTED_TAG
from shared.errors import JobNotFound
from shared.jobs.promotions import Promotion, PromotionState, last_reason
from shared.jobs.store import JobStore


class Notes(Protocol):
    """What this needs of MLflow. What was deleted there needs no tags: that is no failure."""

    def note(self, run_ids: Sequence[str], *, decision: str, reason: str, promoted: bool) -> None:
        """Keep a decision, and its reason in words, in these runs."""

    def tag_version(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of the version."""

    def find_source_run(self, model: str, version: str) -> str | None:
        """Return the run that made the version; None if one of them is gone."""


@dataclass(frozen=True)
class Noting:
    """Writes the tags. The store remembers which promotions changed since theirs were written."""

    store: JobStore
    notes: Notes

    def note(self, promotion: Promotion, run_ids: Collection[str]) -> None:
        """Tell these runs, and the version; the store has it whatever becomes of this."""
        is_promoted = promotion.state is PromotionState.PROMOTED
        reason = last_reason(self.store.lines_of(promotion.id)) or promotion.reason
        text = json.dumps({**promotion.decision, "reason": reason, "promoted": is_promoted}, ensure_ascii=False)
        self.notes.note(sorted(run_ids), decision=text, reason=reason, promoted=is_promoted)
        if promotion.version is not None:
            tags = {DECISION_TAG: text, PROMOTED_TAG: str(is_promoted).lower()}
            self.notes.tag_version(promotion.model, promotion.version, tags)
        self.store.noted(promotion)

    def note_late(self, promotion: Promotion) -> None:
        """Tell what changed without the job's worker, such as by a person's approval."""
        found = {self._job_run(promotion)}
        if promotion.version is not None:
            # Not from the version's tags, which its training may have set: it must not lead to another job's run.
            found.add(self.notes.find_source_run(promotion.model, promotion.version))
        self.note(promotion, [run_id for run_id in found if run_id is not None])

    def _job_run(self, promotion: Promotion) -> str | None:
        """Return the job's run; None if the job was deleted."""
        with suppress(JobNotFound):
            attempts = self.store.get(str(promotion.job_id)).attempts
            return next((each.run_id for each in attempts if each.number == promotion.attempt), None)
        return None
