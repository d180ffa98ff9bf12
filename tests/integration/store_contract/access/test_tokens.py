"""What every job store does with tokens: it knows them by their hashes, until they expire or are revoked."""

from datetime import timedelta

import pytest

from shared.access.roles import Role
from shared.access.tokens import NewToken, hash_of, hint_of, new_token
from shared.errors import TokenEnded, TokenExists, TokenNotFound
from shared.jobs.store import JobStore
from tests.support.clocks import HeldClock
from tests.support.stores import MakeStore

ADMIN = frozenset({Role.ADMIN})


@pytest.fixture
def clock() -> HeldClock:
    return HeldClock()


@pytest.fixture
def store(make_store: MakeStore, clock: HeldClock) -> JobStore:
    return make_store(clock=clock)


def new(token: str, name: str = "ci", **fields: object) -> NewToken:
    facts: dict[str, object] = {"roles": frozenset({Role.SUBMITTER}), "created_by": "env-1", **fields}
    return NewToken(name=name, hash=hash_of(token), hint=hint_of(token), **facts)  # type: ignore[arg-type]


def create(store: JobStore, name: str = "ci", **fields: object) -> str:
    token = new_token()
    store.create_token(new(token, name, **fields))
    return token


def opens(store: JobStore, token: str) -> bool:
    return store.find_token(hash_of(token)) is not None


def rotate(store: JobStore, name: str = "ci", *, overlap_seconds: float = 0) -> str:
    token = new_token()
    store.rotate_token(name, hashed=hash_of(token), hint=hint_of(token), overlap_seconds=overlap_seconds)
    return token


def test_a_token_is_found_by_its_hash_with_all_that_is_known_of_its_holder(store: JobStore) -> None:
    roles = frozenset({Role.SUBMITTER, Role.APPROVER})
    token = create(store, roles=roles, team="vision")
    found = store.find_token(hash_of(token))
    assert found is not None
    assert (found.name, found.roles, found.team, found.created_by) == ("ci", roles, "vision", "env-1")
    assert (found.hint, found.expires_at, found.revoked_at) == (token[:8], None, None)
    assert found.caller.token_id == found.id


def test_what_is_no_hash_of_a_token_finds_nothing(store: JobStore) -> None:
    token = create(store)
    assert store.find_token(token) is None
    assert store.find_token(hash_of(token[:-1])) is None
    assert store.find_token("") is None


def test_a_name_is_taken_for_good(store: JobStore) -> None:
    first = create(store)
    with pytest.raises(TokenExists):
        create(store)
    store.revoke_token("ci")
    with pytest.raises(TokenExists):
        create(store)
    assert not opens(store, first)


def test_a_token_opens_until_it_expires(store: JobStore, clock: HeldClock) -> None:
    token = create(store, expires_in_seconds=60)
    clock.pass_seconds(59)
    assert opens(store, token)
    clock.pass_seconds(1)
    assert not opens(store, token)
    assert store.get_token("ci").expires_at is not None


def test_its_last_use_is_known_to_the_minute(store: JobStore, clock: HeldClock) -> None:
    token = create(store)
    assert store.get_token("ci").used_at is None
    opens(store, token)
    first = store.get_token("ci").used_at
    clock.pass_seconds(59)
    opens(store, token)
    assert store.get_token("ci").used_at == first
    clock.pass_seconds(2)
    opens(store, token)
    assert first is not None
    assert store.get_token("ci").used_at == first + timedelta(seconds=61)


def test_a_revoked_token_opens_nothing_and_is_still_listed(store: JobStore, clock: HeldClock) -> None:
    token = create(store)
    revoked = store.revoke_token("ci").revoked_at
    assert not opens(store, token)
    clock.pass_seconds(10)
    assert store.revoke_token("ci").revoked_at == revoked
    assert [each.revoked_at for each in store.list_tokens()] == [revoked]


def test_after_a_rotation_only_the_new_secret_opens(store: JobStore) -> None:
    before = create(store)
    after = rotate(store)
    assert not opens(store, before)
    assert opens(store, after)
    assert store.get_token("ci").hint == after[:8]
    assert store.get_token("ci").rotated_at is not None


def test_with_an_overlap_the_secret_before_opens_that_long(store: JobStore, clock: HeldClock) -> None:
    before = create(store)
    after = rotate(store, overlap_seconds=60)
    clock.pass_seconds(59)
    assert opens(store, before)
    clock.pass_seconds(1)
    assert not opens(store, before)
    assert opens(store, after)


def test_a_second_rotation_ends_the_first_secret_at_once(store: JobStore) -> None:
    first = create(store)
    second = rotate(store, overlap_seconds=60)
    rotate(store, overlap_seconds=60)
    assert not opens(store, first)
    assert opens(store, second)


def test_revoking_ends_the_secret_before_too(store: JobStore) -> None:
    before = create(store)
    after = rotate(store, overlap_seconds=3600)
    store.revoke_token("ci")
    assert not opens(store, before)
    assert not opens(store, after)


def test_a_rotation_does_not_put_off_the_end(store: JobStore, clock: HeldClock) -> None:
    create(store, expires_in_seconds=60)
    after = rotate(store)
    clock.pass_seconds(60)
    assert not opens(store, after)


def test_what_opens_nothing_is_not_rotated(store: JobStore, clock: HeldClock) -> None:
    create(store, "revoked")
    store.revoke_token("revoked")
    create(store, "expired", expires_in_seconds=60)
    clock.pass_seconds(60)
    for name in ("revoked", "expired"):
        with pytest.raises(TokenEnded):
            rotate(store, name)


def test_an_unknown_token_is_told(store: JobStore) -> None:
    with pytest.raises(TokenNotFound):
        store.get_token("nobody")
    with pytest.raises(TokenNotFound):
        rotate(store, "nobody")
    with pytest.raises(TokenNotFound):
        store.revoke_token("nobody")


def test_all_are_listed_by_name(store: JobStore) -> None:
    for name in ("b", "a-2", "a"):
        create(store, name)
    assert [each.name for each in store.list_tokens()] == ["a", "a-2", "b"]


def test_an_admin_token_counts_while_it_opens(store: JobStore, clock: HeldClock) -> None:
    create(store, "ci")
    assert not store.has_admin_token()
    create(store, "short", roles=ADMIN, expires_in_seconds=60)
    create(store, "boss", roles=ADMIN)
    assert store.has_admin_token()
    store.revoke_token("boss")
    assert store.has_admin_token()
    clock.pass_seconds(60)
    assert not store.has_admin_token()
