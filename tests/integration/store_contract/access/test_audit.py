"""What every job store records of those who act: in the act's own transaction, in a chain without a gap."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from shared.access.acts import Act
from shared.access.audit import NO_HASH, AuditEntry, AuditFilter, NewEntry, Outcome, hash_of
from shared.access.callers import Caller, CallerKind
from shared.errors import HostNotFound
from shared.jobs.promotions import Kind
from shared.jobs.store import JobStore
from tests.integration.store_contract.access.changes import CHANGES, MOVING, a_promotion, by_ann
from tests.support.clocks import HeldClock
from tests.support.jobs import a_host, new_job, submit
from tests.support.kept_triggers import add, send
from tests.support.stores import MakeStore
from tests.support.threads import at_once

ANY = AuditFilter()


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
    made = store.propose(a_promotion(MOVING, kind), seen=0)
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
