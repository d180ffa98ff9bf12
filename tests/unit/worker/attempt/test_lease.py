"""The lease of a claim: renewed while its attempt is worked on, and by nobody afterwards."""

import threading
from datetime import datetime

import pytest

from shared.errors import LeaseLost, StoreUnavailable
from shared.jobs.records import Claim
from tests.fakes.store import MemoryStore
from tests.support.jobs import running
from tests.support.waiting import wait_until
from worker.attempt.lease import LeaseKeeper

LEASE_SECONDS = 0.03
NEVER = 3600.0


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def claim(store: MemoryStore) -> Claim:
    return running(store)


def keeper_of(claim: Claim, store: MemoryStore) -> LeaseKeeper:
    return LeaseKeeper(claim, store=store, lease_seconds=LEASE_SECONDS)


def expiry(store: MemoryStore, claim: Claim) -> datetime:
    expires_at = store.get(claim.job.id).lease_expires_at
    assert expires_at is not None
    return expires_at


def threads_of(claim: Claim) -> list[threading.Thread]:
    return [each for each in threading.enumerate() if claim.job.id in each.name]


def renewed(store: MemoryStore, claim: Claim) -> None:
    before = expiry(store, claim)
    wait_until(lambda: expiry(store, claim) > before, timeout_seconds=5, every_seconds=0.005)


def test_a_lease_is_renewed_again_and_again(store: MemoryStore, claim: Claim) -> None:
    store.renew(claim, lease_seconds=0)
    with keeper_of(claim, store) as lease:
        renewed(store, claim)
        renewed(store, claim)
        lease.check()


def test_nothing_renews_it_afterwards(store: MemoryStore, claim: Claim) -> None:
    with keeper_of(claim, store):
        assert threads_of(claim)

    assert threads_of(claim) == []


def test_the_thread_ends_with_the_work_that_failed(store: MemoryStore, claim: Claim) -> None:
    with pytest.raises(ZeroDivisionError), keeper_of(claim, store):
        raise ZeroDivisionError

    assert threads_of(claim) == []


def test_a_lost_lease_is_found_out_and_the_thread_ends(store: MemoryStore, claim: Claim) -> None:
    with keeper_of(claim, store) as lease:
        store.release(claim)
        wait_until(lambda: not threads_of(claim), timeout_seconds=5, every_seconds=0.005)
        with pytest.raises(LeaseLost):
            lease.check()


def test_a_store_that_was_away_costs_no_lease(store: MemoryStore, claim: Claim) -> None:
    store.renew(claim, lease_seconds=0)
    failures: list[None] = []
    with keeper_of(claim, store) as lease:
        renew = store.renew

        def fail(claim: Claim, *, lease_seconds: float) -> None:
            failures.append(None)
            raise StoreUnavailable("The job store does not answer.")

        store.renew = fail  # type: ignore[method-assign]
        wait_until(lambda: len(failures) > 1, timeout_seconds=5, every_seconds=0.005)
        store.renew = renew  # type: ignore[method-assign]
        renewed(store, claim)
        lease.check()


def test_a_renewal_that_hangs_does_not_keep_the_worker(
    store: MemoryStore, claim: Claim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.attempt.lease.END_SECONDS", 0.01)
    hangs, goes_on = threading.Event(), threading.Event()

    def hang(claim: Claim, *, lease_seconds: float) -> None:
        hangs.set()
        goes_on.wait(30)

    monkeypatch.setattr(store, "renew", hang)
    with keeper_of(claim, store):
        assert hangs.wait(5)
    assert threads_of(claim)  # we are out, though it hangs

    goes_on.set()
    wait_until(lambda: not threads_of(claim), timeout_seconds=5, every_seconds=0.005)
