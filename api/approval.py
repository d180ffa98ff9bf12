"""A person's word about a model that waits for it; one that comes after another champion did is a new decision."""

from typing import Any

from api.http.errors import RegistryUnavailable
from api.model_registry import ModelRegistry
from api.recorded_facts import read_facts
from mypackage.gate.decision import Champion, Decision, decide
from mypackage.gate.evidence import Evidence, Unscorable
from mypackage.protocol import EVALUATION_TAG
from shared.errors import PromotionSettled
from shared.jobs.promotion_store import Promotions
from shared.jobs.promotions import Event, Promotion, PromotionState
from shared.promoting import expire, settle

NOT_SCORED = Unscorable("champion", "it became champion after this model was scored")


def approve(store: Promotions, registry: ModelRegistry, promotion_id: str, *, actor: str, reason: str) -> Promotion:
    """Let the version become champion; return the promotion as it is then. Raises PromotionSettled if it is over."""
    waiting = _waiting(store, promotion_id)

    def step(seen: int, holder: str | None) -> Promotion:
        again = _decide_again(registry, waiting, holder) if holder != waiting.before else None
        if again is not None and not again.promoted:
            late = f"{again.reason} (another version became champion before the approval)"
            return store.settle(
                promotion_id, PromotionState.NOT_PROMOTED, event=Event.DECIDED, actor=actor, reason=late
            )
        state, word = PromotionState.MOVING, reason or "by a person"
        return store.settle(
            promotion_id, state, event=Event.APPROVED, actor=actor, reason=word, seen=seen, before=holder
        )

    done = settle(store, registry, waiting.model, waiting.alias, step)
    if done is None:
        raise RegistryUnavailable(f"The champion of {waiting.model} keeps moving.")
    return done


def reject(store: Promotions, promotion_id: str, *, actor: str, reason: str) -> Promotion:
    """Refuse the version. Raises PromotionSettled if it is over."""
    _waiting(store, promotion_id)
    return store.settle(promotion_id, PromotionState.REJECTED, event=Event.REJECTED, actor=actor, reason=reason)


def _waiting(store: Promotions, promotion_id: str) -> Promotion:
    if any(each.id == promotion_id for each in store.unanswered()):
        expire(store, promotion_id)  # no worker has noticed yet that its time is up
    found = store.get_promotion(promotion_id)
    if found.state is not PromotionState.AWAITING_APPROVAL:
        path = f"/models/{found.model}/history"
        message = (
            f"Promotion {promotion_id} of {found.model} does not wait for approval: it is {found.state}. See {path}."
        )
        raise PromotionSettled(message, promotion_id=promotion_id)
    return found


def _decide_again(registry: ModelRegistry, waiting: Promotion, holder: str | None) -> Decision:
    """Decide by the recorded facts and rules against the version that has the alias now, by its logged values.

    Where the models were scored on the same data, nobody scored that version: on_unscorable says what follows.
    """
    recorded = read_facts(waiting.facts)
    metric = recorded.challenger.metric
    champion = _champion(registry, waiting.model, holder, metric) if holder is not None else None
    scored = NOT_SCORED if isinstance(recorded.evidence, Evidence) else None
    return decide(recorded.challenger, champion, recorded.rules, scored)


def _champion(registry: ModelRegistry, model: str, version: str, metric: str) -> Champion:
    run: dict[str, Any] = dict(registry.run_of(model, version))
    metrics = {str(each["key"]): float(each["value"]) for each in run.get("metrics", [])}
    tags = {str(each["key"]): str(each["value"]) for each in run.get("tags", [])}
    why = "" if metric in metrics else f"its run has no metric '{metric}'"
    return Champion(version, metrics.get(metric), why, metrics, tags.get(EVALUATION_TAG))
