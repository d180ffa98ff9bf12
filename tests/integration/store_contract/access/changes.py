"""Every change that somebody can make in a store: each makes one, and says of what."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from shared.access.acts import Act, acting
from shared.access.callers import Caller, CallerKind
from shared.access.roles import Role
from shared.access.tokens import NewToken
from shared.errors import RetrainError
from shared.jobs.observations import NewObservation
from shared.jobs.promotions import Event, Kind, NewPromotion, PromotionState
from shared.jobs.store import JobStore
from tests.support.jobs import a_host, new_job, running
from tests.support.kept_triggers import BY_SIGNAL, a_trigger, add, occurrence, report

ANN = Caller("ann", CallerKind.TOKEN, frozenset({Role.OPERATOR}), team="vision")
MOVING = PromotionState.MOVING


@contextmanager
def by_ann(action: str) -> Iterator[None]:
    with acting(Act(ANN, action, "10.0.0.7", "r-1")):
        yield


def _cancel(store: JobStore) -> str:
    job_id = running(store).job.id
    with by_ann("x"):
        store.cancel(job_id, force=False)
        store.cancel(job_id, force=False)
    return f"job:{job_id}"


def _drain(store: JobStore) -> str:
    store.beat(a_host("gpu-1"), gap_seconds=60)
    with by_ann("x"):
        store.drain("gpu-1", reason="disks")
        store.drain("gpu-1", reason="disks")
    return "host:gpu-1"


def _undrain(store: JobStore) -> str:
    store.beat(a_host("gpu-1"), gap_seconds=60)
    store.drain("gpu-1", reason="disks")
    with by_ann("x"):
        store.undrain("gpu-1")
        store.undrain("gpu-1")
    return "host:gpu-1"


def _create_trigger(store: JobStore) -> str:
    with by_ann("x"):
        store.create_trigger(a_trigger())
        with suppress(RetrainError):
            store.create_trigger(a_trigger())
    return "trigger:nightly"


def _change_trigger(store: JobStore) -> str:
    store.create_trigger(a_trigger())
    with by_ann("x"):
        store.change_trigger("nightly", a_trigger(when=BY_SIGNAL))
    return "trigger:nightly"


def _delete_trigger(store: JobStore) -> str:
    store.create_trigger(a_trigger())
    with by_ann("x"):
        store.delete_trigger("nightly")
        with suppress(RetrainError):
            store.delete_trigger("nightly")
    return "trigger:nightly"


def _pause_trigger(store: JobStore) -> str:
    store.create_trigger(a_trigger())
    with by_ann("x"):
        store.pause_trigger("nightly", reason="")
    return "trigger:nightly"


def _resume_trigger(store: JobStore) -> str:
    store.create_trigger(a_trigger())
    store.pause_trigger("nightly", reason="")
    with by_ann("x"):
        store.resume_trigger("nightly")
        store.resume_trigger("nightly")
    return "trigger:nightly"


def _pause_all(store: JobStore) -> str:
    with by_ann("x"):
        store.pause_triggers(reason="")
    return "trigger:*"


def _resume_all(store: JobStore) -> str:
    store.pause_triggers(reason="")
    with by_ann("x"):
        store.resume_triggers()
        store.resume_triggers()
    return "trigger:*"


def _report(store: JobStore) -> str:
    add(store)
    with by_ann("x"):
        report(store, "1")
        report(store, "1")
    return "trigger:nightly"


def _fire(store: JobStore) -> str:
    add(store)
    new, about = new_job(trigger_name="nightly"), occurrence(store, "fire 1")
    with by_ann("x"):
        store.fire_trigger("nightly", about, new)
        store.fire_trigger("nightly", about, new_job(trigger_name="nightly"))
    return f"job:{new.id}"


def _test_alerts(store: JobStore) -> str:
    with by_ann("x"):
        store.ask_for_trials({"discord"})
    return "channel:discord"


def _create_token(store: JobStore) -> str:
    with by_ann("x"):
        store.create_token(_token())
        with suppress(RetrainError):
            store.create_token(_token())
    return "token:ci"


def _rotate_token(store: JobStore) -> str:
    store.create_token(_token())
    with by_ann("x"):
        store.rotate_token("ci", hashed="other", hint="art_wxyz", overlap_seconds=0)
    return "token:ci"


def _revoke_token(store: JobStore) -> str:
    store.create_token(_token())
    with by_ann("x"):
        store.revoke_token("ci")
        store.revoke_token("ci")
    return "token:ci"


def _token() -> NewToken:
    return NewToken(name="ci", hash="hash", hint="art_abcd", roles=frozenset({Role.VIEWER}), created_by="ann")


def _approve(store: JobStore) -> str:
    made = store.propose(a_promotion(PromotionState.AWAITING_APPROVAL), seen=0)
    with by_ann("x"):
        store.settle(made.id, MOVING, event=Event.APPROVED, actor="ann", reason="")
    return "model:iris"


def _reject(store: JobStore) -> str:
    made = store.propose(a_promotion(PromotionState.AWAITING_APPROVAL), seen=0)
    with by_ann("x"):
        store.settle(made.id, PromotionState.REJECTED, event=Event.REJECTED, actor="ann", reason="")
    return "model:iris"


def _roll_back(store: JobStore) -> str:
    with by_ann("x"):
        store.propose(a_promotion(MOVING, Kind.ROLLBACK), seen=0)
    return "model:iris"


def _observe(store: JobStore) -> str:
    store.carried_out(store.propose(a_promotion(MOVING, Kind.FOREIGN), seen=0).id)
    at = store.history("iris", limit=1)[0].at
    with by_ann("x"):
        store.observe(NewObservation("iris", "accuracy", 0.9, "ann", at=at))
        store.observe(NewObservation("iris", "accuracy", 0.9, "ann", at=at))
    return "model:iris"


def a_promotion(state: PromotionState, kind: Kind = Kind.TRAINING) -> NewPromotion:
    return NewPromotion("iris", "champion", kind, "2", "1", state, "job j", "0.9 > 0.8")


CHANGES = [
    _cancel,
    _drain,
    _undrain,
    _create_trigger,
    _change_trigger,
    _delete_trigger,
    _pause_trigger,
    _resume_trigger,
    _pause_all,
    _resume_all,
    _report,
    _fire,
    _test_alerts,
    _create_token,
    _rotate_token,
    _revoke_token,
    _approve,
    _reject,
    _roll_back,
    _observe,
]
