"""Promotions for tests of the command line."""

from shared.jobs.promotions import Kind, NewPromotion, PromotionState
from tests.fakes.store import MemoryStore

AWAITING = PromotionState.AWAITING_APPROVAL


def promotion(store: MemoryStore, state: PromotionState) -> str:
    """A promotion of version 3 in this state."""
    new = NewPromotion("iris-classifier", "champion", Kind.TRAINING, "3", "2", state, "job j", "promoted: 0.9 > 0.8")
    return store.propose(new, seen=store.last_event("iris-classifier", "champion")).id
