"""A logged model's way through the gate, and the record that is kept of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mlflow.entities import Run
from mlflow.tracking import MlflowClient

from .gate import Challenger, Champion, Decision, DecisionRecord, check_guardrail, decide, known
from .promotion import Contest, promote
from .registry import find_champion, is_fenced, register
from .rules import Rules, direction

DECISION_TAG = "retrain.decision"
PROMOTED_TAG = "retrain.promoted"
JOB_TAG = "retrain.job_id"
PARENT_TAG = "mlflow.parentRunId"
MOST_PARENTS = 10


class RunEnded(RuntimeError):
    """The service has given this attempt up and started the job anew elsewhere: its model must not be promoted."""


@dataclass(frozen=True)
class Passage:
    """One model before the gate."""

    client: MlflowClient
    run_id: str
    challenger: Challenger
    rules: Rules
    alias: str

    def decide(self, model_uri: str, tags: Mapping[str, Any]) -> DecisionRecord:
        """Register the model and move the alias to it if it may be promoted; keep the decision on its run."""
        self._require_not_fenced()
        champion = find_champion(self.client, self.challenger.model_name, self.challenger.metric, alias=self.alias)
        decision, version = decide(self.challenger, champion, self.rules), None
        if decision.promoted:
            version = register(model_uri, self.challenger.model_name, self._version_tags(tags))
            outcome = promote(
                Contest(
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
            "retrain.run_id": self.run_id,
            "retrain.metric": self.challenger.metric,
            "retrain.metric_value": repr(self.challenger.value),
        }
        job_ids = [run.data.tags[JOB_TAG] for run in self._runs() if JOB_TAG in run.data.tags]
        given = {str(name): str(value) for name, value in tags.items()}
        return given | ours | ({JOB_TAG: job_ids[0]} if job_ids else {})

    def _require_not_fenced(self) -> None:
        """Refuse where the service has fenced the run: this host was cut off, and another attempt took over."""
        if any(is_fenced(run) for run in self._runs()):
            raise RunEnded(
                f"The service has given up the attempt of run {self.run_id}: its model is not made champion."
            )

    def _keep(self, record: DecisionRecord) -> None:
        """Tag the run and those that it is nested in: the service knows the outermost one."""
        for run in self._runs():
            self.client.set_tag(run.info.run_id, DECISION_TAG, record.to_json())
            self.client.set_tag(run.info.run_id, PROMOTED_TAG, str(record.promoted).lower())

    def _runs(self) -> Iterator[Run]:
        """Give the run as it is now, then the run that it is nested in, and so on."""
        run_id: str | None = self.run_id
        for _ in range(MOST_PARENTS):
            if run_id is None:
                return
            run = self.client.get_run(run_id)
            yield run
            run_id = run.data.tags.get(PARENT_TAG)

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
