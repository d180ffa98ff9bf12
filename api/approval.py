"""A person's word about a model that waits for it; one that comes after another champion did is decided anew."""

from typing import Any

from api.http.errors import RegistryUnavailable
from api.model_registry import ModelRegistry
from mypackage.gate.decision import Challenger, Champion, Decision, decide
from mypackage.gate.rules import Guardrail, Rules
from mypackage.protocol import EVALUATION_TAG
from shared.errors import PromotionSettled
from shared.jobs.promotion_store import Promotions
from shared.jobs.promotions import ChampionMoved, Event, MoveUnderWay, Promotion, PromotionState
from shared.promoting import carry_out, look_for_foreign

ACTOR = "api"  # until callers have names
MOST_ROUNDS = 20


def approve(store: Promotions, registry: ModelRegistry, promotion_id: str, *, reason: str) -> Promotion:
    """Let the version become champion; return the promotion as it is then. Raises PromotionSettled if it is over."""
    for _ in range(MOST_ROUNDS):
        waiting = _waiting(store, promotion_id)
        look_for_foreign(store, registry, waiting.model, waiting.alias)
        seen = store.last_event(waiting.model, waiting.alias)
        holder = registry.find_version(waiting.model, waiting.alias)
        again = _decide_anew(registry, waiting, holder) if holder != waiting.before else None
        if again is not None and not again.promoted:
            late = f"{again.reason} (another version became champion before the approval)"
            return _settle(store, waiting, PromotionState.NOT_PROMOTED, Event.DECIDED, late)
        try:
            word = reason or "approved"
            moving = store.settle(
                promotion_id,
                PromotionState.MOVING,
                event=Event.APPROVED,
                actor=ACTOR,
                reason=word,
                seen=seen,
                before=holder,
            )
        except ChampionMoved:
            continue
        except MoveUnderWay as other:
            carry_out(store, registry, other.promotion)
            continue
        return carry_out(store, registry, moving)
    raise RegistryUnavailable("The champion keeps moving.")


def reject(store: Promotions, promotion_id: str, *, reason: str) -> Promotion:
    """Refuse the version. Raises PromotionSettled if it is over."""
    return _settle(store, _waiting(store, promotion_id), PromotionState.REJECTED, Event.REJECTED, reason)


def _waiting(store: Promotions, promotion_id: str) -> Promotion:
    found = store.get_promotion(promotion_id)
    if found.state is not PromotionState.AWAITING_APPROVAL:
        path = f"/models/{found.model}/history"
        message = (
            f"Promotion {promotion_id} of {found.model} does not wait for approval: it is {found.state}. See {path}."
        )
        raise PromotionSettled(message, promotion_id=promotion_id)
    return found


def _settle(store: Promotions, waiting: Promotion, state: PromotionState, event: Event, reason: str) -> Promotion:
    return store.settle(waiting.id, state, event=event, actor=ACTOR, reason=reason)


def _decide_anew(registry: ModelRegistry, waiting: Promotion, holder: str | None) -> Decision:
    """Decide by the recorded facts and rules against the version that has the alias now, by its logged values."""
    rules = dict(waiting.facts["rules"])
    rules["guardrails"] = tuple(Guardrail(**each) for each in rules.get("guardrails", ()))
    challenger = Challenger(**waiting.facts["challenger"])
    champion = _champion(registry, waiting.model, holder, challenger.metric) if holder is not None else None
    return decide(challenger, champion, Rules(**rules))


def _champion(registry: ModelRegistry, model: str, version: str, metric: str) -> Champion:
    run: dict[str, Any] = dict(registry.run_of(model, version))
    metrics = {str(each["key"]): float(each["value"]) for each in run.get("metrics", [])}
    tags = {str(each["key"]): str(each["value"]) for each in run.get("tags", [])}
    why = "" if metric in metrics else f"its run has no metric '{metric}'"
    return Champion(version, metrics.get(metric), why, metrics, tags.get(EVALUATION_TAG))
