"""What every job store does with sessions: a cookie opens until it is over, and with a token no longer than that."""

from datetime import timedelta

import pytest

from shared.access.roles import Role
from shared.access.sessions import MOST_OF_A_TOKEN, NewSession
from shared.access.tokens import NewToken, hash_of, new_token
from shared.jobs.store import JobStore
from tests.support.clocks import HeldClock
from tests.support.stores import MakeStore


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def store(make_store: MakeStore, clock: HeldClock) -> JobStore:
    return make_store(clock=clock)


def create_token(store: JobStore, expires_in_seconds: float | None = None) -> str:
    roles = frozenset({Role.OPERATOR})
    hashed = hash_of(new_token())
    new = NewToken(
        name="ann", hash=hashed, hint="art_", roles=roles, created_by="env-1", expires_in_seconds=expires_in_seconds
    )
    return store.create_token(new).id


def begin(
    store: JobStore, token_id: str | None = None, *, hashed: str = "h", proof: str = "", holder: str = "env-1"
) -> None:
    new = NewSession(hash=hashed, holder=token_id or holder, token_id=token_id, proof=proof, expires_in_seconds=60 * 60)
    store.create_session(new)


def test_a_session_of_a_token_knows_its_holder(store: JobStore) -> None:
    token_id = create_token(store)
    begin(store, token_id)
    found = store.find_session("h")
    assert found is not None
    assert found.token is not None
    assert (found.token.name, found.token.roles, found.token.id) == ("ann", frozenset({Role.OPERATOR}), token_id)


def test_a_session_of_a_token_of_the_settings_keeps_its_proof(store: JobStore) -> None:
    begin(store, proof="p")
    found = store.find_session("h")
    assert found is not None
    assert (found.token, found.proof) == (None, "p")


def test_what_is_no_session_s_hash_finds_nothing(store: JobStore) -> None:
    begin(store)
    assert store.find_session("other") is None
    assert store.find_session("") is None


def test_a_session_is_over_after_its_time(store: JobStore, clock: HeldClock) -> None:
    begin(store)
    clock.now += timedelta(minutes=59)
    assert store.find_session("h")
    clock.now += timedelta(minutes=1)
    assert store.find_session("h") is None


def test_an_ended_session_opens_nothing_and_can_be_ended_again(store: JobStore) -> None:
    begin(store)
    store.end_session("h")
    store.end_session("h")
    assert store.find_session("h") is None


def test_a_session_ends_with_its_token(store: JobStore) -> None:
    begin(store, create_token(store))
    store.revoke_token("ann")
    assert store.find_session("h") is None


def test_a_session_ends_when_its_token_expires(store: JobStore, clock: HeldClock) -> None:
    begin(store, create_token(store, expires_in_seconds=30))
    clock.now += timedelta(seconds=30)
    assert store.find_session("h") is None


def test_a_session_ends_when_its_token_gets_another_secret_and_a_later_one_goes_on(
    store: JobStore, clock: HeldClock
) -> None:
    token_id = create_token(store)
    begin(store, token_id)
    store.rotate_token("ann", hashed=hash_of(new_token()), hint="art_", overlap_seconds=3600)
    clock.now += timedelta(seconds=1)
    begin(store, token_id, hashed="later")
    assert store.find_session("h") is None
    assert store.find_session("later")


@pytest.mark.parametrize("is_of_the_settings", [True, False])
def test_a_token_s_oldest_session_ends_when_it_begins_one_too_many(
    store: JobStore, clock: HeldClock, is_of_the_settings: bool
) -> None:
    token_id = None if is_of_the_settings else create_token(store)
    begin(store, hashed="another's", holder="env-2")
    for number in range(MOST_OF_A_TOKEN):
        clock.now += timedelta(seconds=1)
        begin(store, token_id, hashed=f"h{number}")
    assert store.find_session("h0")
    begin(store, token_id, hashed="one too many")
    found = [hashed for hashed in ("h0", "h1", "h99", "one too many", "another's") if store.find_session(hashed)]
    assert found == ["h1", "h99", "one too many", "another's"]
