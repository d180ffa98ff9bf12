"""What every job store records of those who act: in the act's own transaction, in a chain without a gap."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import pytest

from shared.access.acts import Act, acting
from shared.access.audit import NO_HASH, AuditEntry, AuditFilter, NewEntry, Outcome, hash_of
from shared.access.callers import Caller, CallerKind
from shared.access.roles import Role
from shared.access.tokens import NewToken
from shared.errors import HostNotFound, RetrainError
from shared.jobs.observations import NewObservation
from shared.jobs.promotions import Event, Kind, NewPromotion, PromotionState
from shared.jobs.store import JobStore
from tests.support.clocks import HeldClock
from tests.support.jobs import a_host, new_job, running, submit
from tests.support.kept_triggers import BY_SIGNAL, a_trigger, add, occurrence, report, send
from tests.support.stores import MakeStore
from tests.support.threads import at_once

ANN = Caller("ann", CallerKind.TOKEN, frozenset({Role.OPERATOR}), team="vision")
ANY = AuditFilter()
MOVING = PromotionState.MOVING


@contextmanager
def by_ann(action: str) -> Iterator[None]:
    with acting(Act(ANN, action, "10.0.0.7", "r-1")):
        yield


def entries(store: JobStore, **where: object) -> list[AuditEntry]:
    """The oldest first."""
    return list(reversed(store.list_audit(AuditFilter(**where), limit=10_000)))  # type: ignore[arg-type]


def told(store: JobStore) -> list[tuple[str, str, str]]:
    return [(each.caller, each.action, each.subject) for each in entries(store)]


def assert_chained(kept: list[AuditEntry]) -> None:
    before = NO_HASH
    for number, each in enumerate(kept, start=1):
        assert (each.number, each.hash) == (number, hash_of(before, each.record()))
        before = each.hash


def test_an_entry_says_who_what_on_what_when_from_where_and_with_which_outcome(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    with by_ann("retrain"):
        job_id = submit(store)
    (entry,) = entries(store)
    assert (entry.number, entry.at, entry.outcome, entry.reason) == (1, clock(), "done", "")
    assert (entry.caller, entry.kind, entry.team) == ("ann", "token", "vision")
    assert (entry.action, entry.subject) == ("retrain", f"job:{job_id}")
    assert (entry.address, entry.request_id) == ("10.0.0.7", "r-1")
    assert_chained([entry])


def test_nobody_acts_nothing_is_recorded(store: JobStore) -> None:
    store.beat(a_host(), gap_seconds=60)
    store.cancel(submit(store), force=False)
    store.drain("gpu-1", reason="")
    assert entries(store) == []


def test_a_repeated_submit_is_recorded_once(store: JobStore) -> None:
    new = new_job()
    for _ in range(3):
        with by_ann("retrain"):
            store.submit(new, idempotency_key="k", payload_hash="h")
    assert told(store) == [("ann", "retrain", f"job:{new.id}")]


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
    made = store.propose(_promotion(PromotionState.AWAITING_APPROVAL), seen=0)
    with by_ann("x"):
        store.settle(made.id, MOVING, event=Event.APPROVED, actor="ann", reason="")
    return "model:iris"


def _reject(store: JobStore) -> str:
    made = store.propose(_promotion(PromotionState.AWAITING_APPROVAL), seen=0)
    with by_ann("x"):
        store.settle(made.id, PromotionState.REJECTED, event=Event.REJECTED, actor="ann", reason="")
    return "model:iris"


def _roll_back(store: JobStore) -> str:
    with by_ann("x"):
        store.propose(_promotion(MOVING, Kind.ROLLBACK), seen=0)
    return "model:iris"


def _observe(store: JobStore) -> str:
    store.carried_out(store.propose(_promotion(MOVING, Kind.FOREIGN), seen=0).id)
    at = store.history("iris", limit=1)[0].at
    with by_ann("x"):
        store.observe(NewObservation("iris", "accuracy", 0.9, "ann", at=at))
        store.observe(NewObservation("iris", "accuracy", 0.9, "ann", at=at))
    return "model:iris"


def _promotion(state: PromotionState, kind: Kind = Kind.TRAINING) -> NewPromotion:
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


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_is_recorded_once_and_what_changes_nothing_is_not(
    store: JobStore, change: Callable[[JobStore], str]
) -> None:
    subject = change(store)
    assert told(store) == [("ann", "x", subject)]


def test_what_was_refused_is_recorded_by_nobody_in_the_store(store: JobStore) -> None:
    with by_ann("drainHost"), pytest.raises(HostNotFound):
        store.drain("nowhere", reason="")
    assert entries(store) == []


def test_a_trigger_that_fires_in_a_worker_acts_itself(store: JobStore) -> None:
    add(store, policy={"if_running": "cancel_older"}, team="vision")
    first, second = send(store, "1").job, send(store, "2").job
    assert first is not None
    assert second is not None
    by = [(each.caller, each.kind, each.team) for each in entries(store)]
    assert by == [("trigger:nightly", "service", "vision")] * 3
    assert [(each.action, each.subject) for each in entries(store)] == [
        ("fireTrigger", f"job:{first.id}"),
        ("cancelJob", f"job:{first.id}"),
        ("fireTrigger", f"job:{second.id}"),
    ]


@pytest.mark.parametrize(("kind", "moves"), [(Kind.TRAINING, 1), (Kind.PROBATION, 1), (Kind.FOREIGN, 0)])
def test_an_alias_that_the_service_moves_is_recorded_as_its_own_act(store: JobStore, kind: Kind, moves: int) -> None:
    made = store.propose(_promotion(MOVING, kind), seen=0)
    for _ in range(2):
        store.carried_out(made.id)
    assert told(store) == [("gate", "moveAlias", "model:iris")] * moves
    assert [each.reason for each in entries(store)] == [f"version 2 as champion, before 1 ({kind})"] * moves


def test_refusals_are_added_to_the_same_chain_and_hold_no_more_than_fits(store: JobStore) -> None:
    act = Act(Caller("x" * 999, CallerKind.NOBODY, team="t" * 99), "a" * 99, "1" * 99, "r" * 99)
    new = NewEntry.of(act, "job:\x00\ud800\x1b[2J" + "j" * 999, outcome=Outcome.REFUSED, reason="NOT_AUTHENTICATED")
    store.record_entries([new, new])
    with by_ann("retrain"):
        submit(store)
    first, _, last = entries(store)
    assert first.subject.startswith("job:\ufffd\ufffd\ufffd[2J")
    assert (first.outcome, len(first.subject), len(first.caller)) == ("refused", 300, 255)
    assert last.outcome == "done"
    assert_chained(entries(store))


def test_a_crowd_leaves_no_gap(store: JobStore) -> None:
    def act(number: int) -> None:
        with by_ann(f"act{number}"):
            for _ in range(5):
                submit(store)

    at_once(8, act)
    kept = entries(store)
    assert len(kept) == 40
    assert_chained(kept)


def test_the_list_is_filtered_and_paged_newest_first(make_store: MakeStore) -> None:
    clock = HeldClock()
    store = make_store(clock=clock)
    begin = clock()
    for number in range(6):
        with by_ann("retrain" if number % 2 else "other"):
            submit(store)
        clock.pass_seconds(60)
    assert [each.number for each in store.list_audit(ANY, limit=2)] == [6, 5]
    assert [each.number for each in store.list_audit(ANY, limit=2, before_number=5)] == [4, 3]
    assert [each.number for each in entries(store, action="retrain")] == [2, 4, 6]
    assert [each.number for each in entries(store, subject=entries(store)[3].subject)] == [4]
    assert entries(store, caller="bob") == entries(store, outcome="refused") == []
    later = begin + timedelta(minutes=2)
    assert [each.number for each in entries(store, since=later)] == [3, 4, 5, 6]
    assert [each.number for each in entries(store, until=later)] == [1, 2, 3]
