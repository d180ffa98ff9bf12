"""How every job store counts what waits: jobs by their maker, and queues."""

from dataclasses import replace

import pytest

from shared.errors import TooManyJobsQueued
from shared.jobs.store import JobStore
from shared.jobs.triggers import Outcome
from shared.jobs.waiting_limits import KnownQueues
from shared.scheduling.limits import Limits
from tests.support.jobs import a_host, claim, new_job, submit
from tests.support.kept_triggers import a_trigger, entry, occurrence, settle, take
from tests.support.stores import MakeStore

TWO = Limits(waiting_per_caller=2)


def test_a_caller_has_so_many_jobs_waiting_and_no_more(make_store: MakeStore) -> None:
    store = make_store(limits=TWO)
    first, _ = submit(store, submitted_by="ann"), submit(store, submitted_by="ann")
    with pytest.raises(TooManyJobsQueued, match="2 jobs of ann wait already"):
        submit(store, submitted_by="ann")
    submit(store, submitted_by="bob")
    claim(store, first)
    submit(store, submitted_by="ann")


def test_what_was_accepted_before_is_answered_again_although_no_more_may_wait(make_store: MakeStore) -> None:
    store = make_store(limits=TWO)
    new = new_job(submitted_by="ann")
    store.submit(new, idempotency_key="k", payload_hash="h")
    submit(store, submitted_by="ann")
    again = store.submit(new_job(submitted_by="ann"), idempotency_key="k", payload_hash="h")
    assert (again.job.id, again.created) == (new.id, False)


@pytest.mark.parametrize("maker", [None, "local"])
def test_nobody_counts_for_a_service_without_tokens(make_store: MakeStore, maker: str | None) -> None:
    store = make_store(limits=TWO)
    for _ in range(5):
        submit(store, submitted_by=maker)


def test_a_firing_that_is_too_many_is_an_event_with_the_reason(make_store: MakeStore) -> None:
    store = make_store(limits=TWO)
    store.create_trigger(a_trigger("nightly"))
    due = take(store)
    mine = [replace(entry(occurrence(store, key, name="nightly")), new=new_job(submitted_by="ann")) for key in "abc"]
    settled = settle(store, due, *mine)
    assert [each.event.outcome for each in settled] == [Outcome.FIRED, Outcome.FIRED, Outcome.SKIPPED]
    assert "2 jobs of ann wait already" in settled[-1].event.reason


def test_the_known_queues_are_those_that_hosts_serve_and_those_with_a_waiting_job(store: JobStore) -> None:
    assert store.known_queues() == KnownQueues(frozenset(), frozenset())
    store.beat(a_host(queues=frozenset({"gpu", "default"})), gap_seconds=60)
    for name in ("b", "a", "b"):
        submit(store, queue=name)
    started = submit(store, queue="gpu")
    claim(store, started, host=a_host(queues=frozenset({"gpu"})))
    assert store.known_queues() == KnownQueues(frozenset({"gpu", "default"}), frozenset({"a", "b"}))
