"""Takes one logged model through the gate: registers it, decides, and records the decision on the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlflow.tracking import MlflowClient

from ..job_run import job_run_id
from ..protocol import DECISION_TAG, JOB_RUN_TAG, JOB_TAG, METRIC_TAG, METRIC_VALUE_TAG, PROMOTED_TAG, RUN_TAG
from .alias_moves import AliasMove, promote
from .decision import Challenger, Champion, Decision, DecisionRecord, check_guardrail, decide, known
from .registry import find_champion, register
from .rules import Rules, direction
from .runs import require_not_fenced, runs_of


@dataclass(frozen=True)
class Promotion:
    """One model at the gate."""

    client: MlflowClient
    run_id: str
    challenger: Challenger
    rules: Rules
    alias: str

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
        challenger, rules = self.challenger, self.rules
        return DecisionRecord(
            promoted=decision.promoted,
            reason=decision.reason,
            metric=challenger.metric,
            direction=direction(rules.lower_is_better),
            challenger=known(challenger.value),
            champion=known(champion.value) if champion else None,
            champion_version=champion.version if champion else None,
            model_name=challenger.model_name,
            model_version=version,
            min_delta=rules.min_delta,
            min_value=rules.min_value,
            datasets={"challenger": challenger.dataset, "champion": champion.dataset if champion else None},
            guardrails={rail.metric: check_guardrail(rail, challenger, champion) for rail in rules.guardrails},
            alias=self.alias,
        )
