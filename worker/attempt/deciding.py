"""Decides about the models that an attempt's training proposed, once that has ended with 0, and moves the aliases.

Each step may be repeated, even by the next worker, wherever it was interrupted: a decision is recorded once for each
proposal, and what is recorded is carried out; by the sweep, if nobody else comes.
"""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Protocol

from mypackage.gate.decision import Challenger, Champion, Decision, DecisionRecord, decide, record_of
from mypackage.gate.evidence import Evidence, Unscorable
from mypackage.gate.proposal import Proposal
from mypackage.gate.rules import Rules, merged, rules_of
from mypackage.protocol import JOB_RUN_TAG, JOB_TAG, METRIC_TAG, METRIC_VALUE_TAG, RUN_TAG
from shared.errors import Code, InfrastructureError
from shared.jobs.promotions import MOST_OTHER_METRICS, WAITS, Kind, NewPromotion, Promotion, PromotionState, shown_as
from shared.jobs.records import Claim
from shared.jobs.store import JobStore
from shared.promoting import REAL_TIME, Registry, Time, settle
from shared.secrets.redactor import Redactor
from worker.attempt.evaluator import Comparison, Evaluator, NoEvaluator, Scored, Watch
from worker.attempt.noting import Notes, Noting
from worker.attempt.probation import probation_fact

MACHINE_METRICS = "system/"  # as MLflow logs them, if asked to
NOTHING_SECRET = Redactor.of(())
UNWATCHED = Watch()


class Gate(Notes, Registry, Protocol):
    """What this needs of MLflow; `ModelGate` is the real one."""

    def proposals(self, run_id: str) -> Sequence[Proposal]:
        """Return what the job's run proposes."""

    def challenger(self, proposal: Proposal, metric: str) -> Challenger | None:
        """Return the proposed model."""

    def is_new_model(self, proposal: Proposal) -> bool:
        """Return whether the model has no version but the proposed one."""

    def find_champion(self, model: str, alias: str, metric: str) -> Champion | None:
        """Return the version that has the alias."""

    def is_of_job(self, proposal: Proposal, *, job_id: str, job_run: str) -> bool:
        """Return whether the proposal is about a model of this job."""

    def register(self, proposal: Proposal, tags: Mapping[str, str]) -> str:
        """Return the model's version."""


@dataclass(frozen=True)
class Deciding:
    """Decides for the attempts of one worker. ``is_enforced``: trainings cannot move an alias themselves."""

    store: JobStore
    gate: Gate
    is_enforced: bool = False
    evaluator: Evaluator = field(default_factory=NoEvaluator)
    time: Time = REAL_TIME

    def run(self, claim: Claim, watch: Watch = UNWATCHED, redactor: Redactor = NOTHING_SECRET) -> Sequence[Promotion]:
        """Decide about every proposal, in the order of the calls.

        What a training says in its proposals may have a secret in it: the ``redactor`` takes it out of the record.
        """
        run_id = self.store.get(claim.job.id).attempts[claim.attempt.number - 1].run_id  # made after the claim
        if run_id is None:
            return ()
        decided = []
        for number, proposal in enumerate(self.gate.proposals(run_id)):
            watch.check()
            why_not = self._why_not_own(claim, run_id, proposal)
            decided.append(self._settle(_Case(claim, run_id, number, proposal, why_not), watch, redactor))
        return decided

    def _settle(self, case: "_Case", watch: Watch, redactor: Redactor) -> Promotion:
        claim, run_id, proposal = case.claim, case.run_id, case.proposal

        def step(seen: int, holder: str | None) -> Promotion:
            if recorded := self._find_recorded(case):  # judging it again would score it against itself, for hours
                return recorded
            verdict = self._judge(case, watch)
            # If the champion that was judged is not the holder any more, the move finds that out.
            new = replace(self._as_new(case, verdict), before=holder)
            return self.store.propose(_without_secrets(new, redactor), seen=seen, claim=claim)

        promotion = settle(self.store, self.gate, proposal.model_name, proposal.alias, step, by=self.time)
        if promotion is None or promotion.state is PromotionState.MOVING:
            message = f"The alias '{proposal.alias}' of {proposal.model_name} keeps moving, so nothing can be decided."
            raise InfrastructureError(Code.TRACKING_UNAVAILABLE, message)
        Noting(self.store, self.gate).note(promotion, {run_id} if case.why_not_own else {run_id, proposal.run_id})
        return promotion

    def _find_recorded(self, case: "_Case") -> Promotion | None:
        """Return what was decided about the proposal earlier, unless that has to be decided again."""
        proposal = case.proposal
        mine = (case.number, proposal.model_name, proposal.alias)
        earlier = self.store.of_attempt(case.claim.job.id, case.claim.attempt.number)
        found = (each for each in earlier if (each.number, each.model, each.alias) == mine)
        return next((each for each in found if each.state is not PromotionState.OVERTAKEN), None)

    def _judge(self, case: "_Case", watch: Watch) -> "_Verdict":
        claim, proposal = case.claim, case.proposal
        asked = claim.request.promotion.as_rules
        metric = str(asked.get("metric") or proposal.rules.get("metric") or proposal.metric)
        champion = self.gate.find_champion(proposal.model_name, proposal.alias, metric)
        challenger = self.gate.challenger(proposal, metric)
        if challenger is not None and champion is None:
            challenger = replace(challenger, is_new_model=self.gate.is_new_model(proposal))
        if challenger is None or case.why_not_own:
            nobody = challenger or Challenger(proposal.model_name, metric, None)
            return _Verdict(nobody, champion, Rules(proposal.lower_is_better), _refused(case.why_not_own or _NOT_OWN))
        try:
            rules = rules_of(merged(proposal.rules, asked), lower_is_better=proposal.lower_is_better)
        except (ValueError, TypeError, AttributeError, OverflowError) as error:  # a training may propose anything
            return _Verdict(challenger, champion, Rules(proposal.lower_is_better), _refused(f"its rules: {error}"))
        if champion is None:
            return _Verdict(challenger, None, rules, decide(challenger, None, rules))
        comparison = Comparison(claim, case.number, proposal, champion, metric, rules)
        return _verdict(challenger, champion, rules, self.evaluator.score(comparison, watch))

    def _why_not_own(self, claim: Claim, run_id: str, proposal: Proposal) -> str:
        """Say why the job may not propose this model; "" if it may. The guard would refuse it the same."""
        wanted = claim.request.model_name
        if not self.is_enforced:
            return ""
        if wanted not in (None, proposal.model_name):
            return f"this job trains the model '{wanted}', and proposes no other (model_name)"
        return "" if self.gate.is_of_job(proposal, job_id=claim.job.id, job_run=run_id) else _NOT_OWN

    def _as_new(self, case: "_Case", verdict: "_Verdict") -> NewPromotion:
        claim, proposal = case.claim, case.proposal
        is_promoted, version = verdict.decision.promoted, None if case.why_not_own else proposal.version
        if is_promoted:
            version = self.gate.register(proposal, _version_tags(claim, case.run_id, proposal, verdict))
        record = verdict.record(version=version, alias=proposal.alias)
        state, wait = PromotionState.NOT_PROMOTED, None
        if is_promoted:
            wait = claim.request.promotion.approval_seconds(verdict.gain)
            state = PromotionState.MOVING if wait is None else PromotionState.AWAITING_APPROVAL
        if state is PromotionState.AWAITING_APPROVAL:
            record = replace(record, reason=f"{WAITS}: {record.reason.removeprefix('promoted: ')}")
        return NewPromotion(
            model=proposal.model_name,
            alias=proposal.alias,
            kind=Kind.TRAINING,
            version=version,
            before=None,
            state=state,
            actor=f"job {claim.job.id}",
            reason=record.reason,
            job_id=claim.job.id,
            attempt=claim.attempt.number,
            number=case.number,
            decision=json.loads(record.to_json()),
            facts={
                **verdict.facts(),
                **probation_fact(claim.request.promotion.probation, proposal.alias, verdict.challenger, verdict.rules),
            },
            approval_seconds=wait,
        )


@dataclass(frozen=True)
class _Case:
    """The proposal of this number in the claimed attempt, whose MLflow run is ``run_id``.

    ``why_not_own`` says why the job may not propose it. What it names is another's then, and is not even tagged.
    """

    claim: Claim
    run_id: str
    number: int
    proposal: Proposal
    why_not_own: str


@dataclass(frozen=True)
class _Verdict:
    """A decision, and what it was made from."""

    challenger: Challenger
    champion: Champion | None
    rules: Rules
    decision: Decision
    evidence: Evidence | Unscorable | None = None

    @property
    def gain(self) -> float | None:
        """By how much the challenger's value is better; None without a champion's value."""
        if isinstance(self.evidence, Evidence):
            return self.evidence.difference
        ours, theirs = self.challenger.value, self.champion.value if self.champion else None
        if ours is None or theirs is None:
            return None
        return theirs - ours if self.rules.lower_is_better else ours - theirs

    def record(self, *, version: str | None, alias: str) -> DecisionRecord:
        """Return what people are shown."""
        return record_of(
            self.challenger,
            self.champion,
            self.rules,
            self.decision,
            version=version,
            alias=alias,
            evidence=self.evidence,
        )

    def facts(self) -> dict[str, Any]:
        """Return what it takes to decide again, by the same or other rules: plain values, and not every metric."""
        named = {self.challenger.metric, *(rail.metric for rail in self.rules.guardrails)}
        return {
            "challenger": asdict(replace(self.challenger, metrics=_kept(self.challenger.metrics, named))),
            "champion": asdict(replace(self.champion, metrics=_kept(self.champion.metrics, named)))
            if self.champion
            else None,
            "rules": asdict(self.rules),
            "evidence": asdict(self.evidence) if isinstance(self.evidence, Evidence) else None,
            "unscorable": asdict(self.evidence) if isinstance(self.evidence, Unscorable) else None,
        }


def _verdict(challenger: Challenger, champion: Champion, rules: Rules, scored: Scored | None) -> _Verdict:
    if scored is None:
        return _Verdict(challenger, champion, rules, decide(challenger, champion, rules))
    # What the evaluation logged was measured on the same data, so guarded metrics are compared by it, too: if it logged
    # them for both, and did not fail for one before that.
    both = scored.challenger.metrics.keys() & scored.champion.metrics.keys()
    challenger = replace(challenger, metrics={**challenger.metrics, **_only(scored.challenger.metrics, both)})
    champion = replace(champion, metrics={**champion.metrics, **_only(scored.champion.metrics, both)})
    if isinstance(scored.evidence, Evidence):
        challenger = replace(challenger, value=scored.evidence.challenger)
        champion = replace(champion, value=scored.evidence.champion)
    decision = decide(challenger, champion, rules, scored.evidence)
    return _Verdict(challenger, champion, rules, decision, scored.evidence)


def _without_secrets(new: NewPromotion, redactor: Redactor) -> NewPromotion:
    said, facts = redactor.within(dict(new.decision)), redactor.within(dict(new.facts))
    return replace(new, reason=redactor.text(new.reason), decision=said, facts=facts)


def _refused(why: str) -> Decision:
    return Decision(promoted=False, reason=f"not promoted: {why}")


_NOT_OWN = "its run, version or files are not of this job"


def _kept(metrics: Mapping[str, float], named: Set[str]) -> dict[str, float]:
    """Return the named metrics and, for rules that somebody tries later, some others: not those of the machine."""
    others = sorted(name for name in metrics if name not in named and not name.startswith(MACHINE_METRICS))
    return _only(metrics, named | set(others[:MOST_OTHER_METRICS]))


def _only(metrics: Mapping[str, float], names: Set[str]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name in names}


def _version_tags(claim: Claim, run_id: str, proposal: Proposal, verdict: _Verdict) -> dict[str, str]:
    return {
        RUN_TAG: proposal.run_id,
        JOB_TAG: claim.job.id,
        JOB_RUN_TAG: run_id,
        METRIC_TAG: verdict.challenger.metric,
        METRIC_VALUE_TAG: repr(verdict.challenger.value),
    }


def result_of(promotions: Sequence[Promotion], *, is_enforced: bool) -> dict[str, Any] | None:
    """Return what the job shows as its promotion: what was promoted, else the last decision; None without any."""
    if not promotions:
        return None
    last = ([each for each in promotions if each.state.may_be_champion] or promotions)[-1]
    return shown_as({**last.decision, "id": last.id, "enforced": is_enforced}, last.state)
