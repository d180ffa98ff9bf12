"""Takes one logged model through the gate: registers it, decides, and records the decision on the run."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow.tracking import MlflowClient

from ..job_run import job_run_id
from ..protocol import (
    DECISION_TAG,
    JOB_RUN_TAG,
    JOB_TAG,
    METRIC_TAG,
    METRIC_VALUE_TAG,
    PROMOTED_TAG,
    PROPOSAL_TAGS,
    RUN_TAG,
)
from .alias_moves import AliasMove, promote
from .champions import find_champion, find_rival
from .decision import Challenger, Champion, Decision, DecisionRecord, decide, record_of
from .proposal import Proposal, read_proposal
from .registry import register
from .rules import Rules
from .runs import require_not_fenced, runs_of


@dataclass(frozen=True)
class Promotion:
    """One model at the gate."""

    client: MlflowClient
    run_id: str
    challenger: Challenger
    rules: Rules
    alias: str

    def propose(self, model_uri: str, tags: Mapping[str, Any], wishes: Mapping[str, Any]) -> DecisionRecord:
        """Register the model if it seems better, and propose it to the service, which decides after this training.

        The record says what is expected. It is compared with what this training proposed before, too, because only the
        best of these can become champion. ``wishes`` are train.py's own rules.
        """
        self._require_not_fenced()
        champion = self._best_so_far()
        decision, version = decide(self.challenger, champion, self.rules), None
        all_tags = self._version_tags(tags)
        if decision.promoted:
            version = register(model_uri, self.challenger.model_name, all_tags)
        record = self._record(decision, champion, version)
        self._keep(record)
        proposal = Proposal(
            model_name=self.challenger.model_name,
            model_uri=model_uri,
            run_id=self.run_id,
            metric=self.challenger.metric,
            lower_is_better=self.rules.lower_is_better,
            alias=self.alias,
            at=time.time_ns(),
            expects=decision.promoted,
            version=version,
            dataset=self.challenger.dataset,
            rules={name: value for name, value in wishes.items() if value is not None},
            tags=all_tags,
        )
        place = f"{PROPOSAL_TAGS}{hashlib.sha256(self._place(model_uri).encode()).hexdigest()[:16]}"
        self.client.set_tag(job_run_id() or self.run_id, place, proposal.to_json())
        return record

    def _place(self, model_uri: str) -> str:
        """Return what tells the proposal from the job's others: MLflow 2 has one address for all models of a run."""
        return " ".join((self.run_id, model_uri, self.challenger.model_name, self.alias))

    def _best_so_far(self) -> Champion | None:
        """Return the champion, or the last of this job's own proposals that was expected to replace it."""
        name, metric = self.challenger.model_name, self.challenger.metric
        tags = self.client.get_run(job_run_id() or self.run_id).data.tags
        texts = (text for place, text in tags.items() if place.startswith(PROPOSAL_TAGS))
        earlier = [each for each in map(read_proposal, texts) if each is not None and each.expects]
        mine = [each for each in earlier if (each.model_name, each.alias) == (name, self.alias) and each.version]
        for best in sorted(mine, key=lambda each: -each.at)[:1]:
            return find_rival(self.client, name, str(best.version), metric)
        return find_champion(self.client, name, metric, alias=self.alias)

    def decide(self, model_uri: str, tags: Mapping[str, Any]) -> DecisionRecord:
        """Register the model and move the alias to it if it may be promoted; record the decision on its run."""
        self._require_not_fenced()
        champion = find_champion(self.client, self.challenger.model_name, self.challenger.metric, alias=self.alias)
        decision, version = decide(self.challenger, champion, self.rules), None
        if decision.promoted:
            version = register(model_uri, self.challenger.model_name, self._version_tags(tags))
            outcome = promote(
                AliasMove(
                    client=self.client,
                    challenger=self.challenger,
                    version=version,
                    rules=self.rules,
                    alias=self.alias,
                    require_not_fenced=self._require_not_fenced,
                )
            )
            decision, champion = outcome.decision, outcome.champion
        record = self._record(decision, champion, version)
        self._keep(record)
        return record

    def _version_tags(self, tags: Mapping[str, Any]) -> dict[str, str]:
        ours = {
            RUN_TAG: self.run_id,
            METRIC_TAG: self.challenger.metric,
            METRIC_VALUE_TAG: repr(self.challenger.value),
        }
        runs = runs_of(self.client, self.run_id)  # the job's own run is the last one: it started the others
        job_ids = [run.data.tags[JOB_TAG] for run in runs if JOB_TAG in run.data.tags]
        job = {JOB_TAG: job_ids[-1]} if job_ids else {}
        job_run = {JOB_RUN_TAG: run_id} if (run_id := job_run_id()) else {}
        return {str(name): str(value) for name, value in tags.items()} | ours | job | job_run

    def _require_not_fenced(self) -> None:
        require_not_fenced(self.client, self.run_id)

    def _keep(self, record: DecisionRecord) -> None:
        """Tag the run, those that it is nested in, and the job's own, which is the only one that the service knows."""
        for run in runs_of(self.client, self.run_id):
            self.client.set_tag(run.info.run_id, DECISION_TAG, record.to_json())
            self.client.set_tag(run.info.run_id, PROMOTED_TAG, str(record.promoted).lower())

    def _record(self, decision: Decision, champion: Champion | None, version: str | None) -> DecisionRecord:
        return record_of(self.challenger, champion, self.rules, decision, version=version, alias=self.alias)
