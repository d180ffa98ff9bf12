"""What a store says and keeps while its database is away or locked: StoreUnavailable in good time, and nothing half."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from shared.access.acts import Act
from shared.access.audit import AuditFilter, NewEntry
from shared.access.audit import Outcome as AuditOutcome
from shared.access.callers import NOBODY
from shared.access.roles import Role
from shared.access.sessions import NewSession
from shared.access.tokens import NewToken
from shared.alerts.listed import AlertFilter
from shared.alerts.model import Alert, AlertEvent, Trial
from shared.errors import StoreUnavailable
from shared.jobs.model import JobState
from shared.jobs.monthly_usage import UsageBy, UsageFilter
from shared.jobs.observations import NewObservation
from shared.jobs.promotions import Event, Kind, NewPromotion, Promotion, PromotionState
from shared.jobs.records import JobFilter, Resolution
from shared.jobs.signs import Topic
from shared.jobs.store import JobStore
from shared.jobs.triggers import Due, Occurrence, Settlement
from shared.jobs.triggers import Kind as TriggerKind
from shared.sql import SqlStore, engine
from tests.fakes.store import MemoryStore
from tests.support.jobs import (
    HOST,
    SUCCEEDED,
    WAITED_TOO_LONG,
    a_host,
    claim,
    new_job,
    running,
    submit,
    try_claim,
)
from tests.support.kept_triggers import a_trigger
from tests.support.servers.postgres import PostgresServer
from tests.support.threads import at_once

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ALERT = Alert("id", 1, AlertEvent.FAILED, "discord", NOW, NOW, tries=1)
PROMOTION = NewPromotion("iris", "champion", Kind.ROLLBACK, "1", None, PromotionState.MOVING, "ann", "because")
OBSERVATION = NewObservation("iris", "accuracy", 0.9, "ann")
REFUSED = NewEntry.of(Act(NOBODY, "retrain", "10.0.0.7", "r"), "", outcome=AuditOutcome.REFUSED)
OCCURRENCE = Occurrence("key", NOW)
TOKEN = NewToken(name="ci", hash="hash", hint="art_", roles=frozenset({Role.ADMIN}), created_by="ann")
SESSION = NewSession(hash="hash", holder="env-1", expires_in_seconds=60)
DUE = Due(trigger=MemoryStore().create_trigger(a_trigger()), token=1, now=NOW, secret=None, waiting=())
Call = Callable[[JobStore], object]
READS: dict[str, Call] = {
    "get": lambda store: store.get("id"),
    "list_alerts": lambda store: store.list_alerts(AlertFilter(), limit=1),
    "list_usage": lambda store: store.list_usage(UsageFilter("2030-01", "2030-12", UsageBy.MODEL)),
    "get_version": lambda store: store.get_version("id"),
    "list": lambda store: store.list(JobFilter(), limit=1),
    "known_queues": lambda store: store.known_queues(),
    "read_log": lambda store: store.read_log("id", attempt=1, offset=0, limit=1),
    "find_orphans": lambda store: store.find_orphans(host=HOST),
    "find_overdue": lambda store: store.find_overdue(),
    "running_on": lambda store: store.running_on(HOST),
    "find_queue_position": lambda store: store.find_queue_position("id"),
    "find_open_runs": lambda store: store.find_open_runs(),
    "find_lost": lambda store: store.find_lost(by=HOST, after_seconds=1),
    "list_trials": lambda store: store.list_trials({"id"}),
    "list_workers": lambda store: store.list_workers(),
    "get_statistics": lambda store: store.get_statistics(),
    "get_sign": lambda store: store.get_sign(Topic.JOBS),
    "live_workers": lambda store: store.live_workers(within_seconds=1),
    "schema_revision": lambda store: store.schema_revision(),
    "last_event": lambda store: store.last_event("iris", "champion"),
    "lines_of": lambda store: store.lines_of("id"),
    "observations": lambda store: store.observations("iris", limit=1),
    "probations": lambda store: store.probations(),
    "broken": lambda store: store.broken(),
    "unnoted": lambda store: store.unnoted(),
    "get_promotion": lambda store: store.get_promotion("id"),
    "of_attempt": lambda store: store.of_attempt("id", 1),
    "unfinished": lambda store: store.unfinished(PromotionState.MOVING),
    "unanswered": lambda store: store.unanswered(),
    "decisions": lambda store: store.decisions("iris", limit=1),
    "history": lambda store: store.history("iris", limit=1),
    "champion_at": lambda store: store.champion_at("iris", "champion"),
    "succeeded_since": lambda store: store.succeeded_since(NOW, limit=1),
    "team_of_model": lambda store: store.team_of_model("iris"),
    "models_of": lambda store: store.models_of("vision"),
    "moved_aliases": lambda store: store.moved_aliases(),
    "last_events": lambda store: store.last_events(),
    "get_trigger": lambda store: store.get_trigger("id"),
    "list_triggers": lambda store: store.list_triggers(),
    "secret_of_trigger": lambda store: store.secret_of_trigger("id"),
    "hook_secrets": lambda store: store.hook_secrets(TriggerKind.GIT),
    "trigger_events": lambda store: store.trigger_events("id", limit=1),
    "newest_trigger_events": lambda store: store.newest_trigger_events(),
    "triggers_pause": lambda store: store.triggers_pause(),
    "find_token": lambda store: store.find_token("hash"),  # writes if it is found
    "find_session": lambda store: store.find_session("hash"),
    "get_token": lambda store: store.get_token("ci"),
    "list_tokens": lambda store: store.list_tokens(),
    "has_admin_token": lambda store: store.has_admin_token(),
    "take_due_trigger": lambda store: store.take_due_trigger(lease_seconds=1),  # writes if one is due
    "list_audit": lambda store: store.list_audit(AuditFilter(), limit=1),
    "pause_failing_triggers": lambda store: store.pause_failing_triggers(),  # writes if one fails
}
WRITES: dict[str, Call] = {
    "record_entries": lambda store: store.record_entries([REFUSED]),
    "assign_model": lambda store: store.assign_model("iris", "vision"),
    "propose": lambda store: store.propose(PROMOTION, seen=0),
    "observe": lambda store: store.observe(OBSERVATION),
    "forget_observations": lambda store: store.forget_observations(older_than_days=1, most=1),
    "noted": lambda store: store.noted(Promotion(**vars(PROMOTION), id="id", created_at=NOW)),
    "begin_move": lambda store: store.begin_move("id", seconds=60),
    "end_move": lambda store: store.end_move(Promotion(**vars(PROMOTION), id="id", created_at=NOW)),
    "carried_out": lambda store: store.carried_out("id"),
    "settle": lambda store: store.settle("id", PromotionState.EXPIRED, event=Event.EXPIRED, actor="a", reason=""),
    "set_priority": lambda store: store.set_priority("id", 9),
    "submit": lambda store: store.submit(new_job(), idempotency_key="k", payload_hash="h"),
    "claim": lambda store: try_claim(store, "id"),
    "fail_unsupervised": lambda store: store.fail_unsupervised("id", WAITED_TOO_LONG),
    "take_sendable": lambda store: store.take_sendable(a_host(), resend_after_seconds=1),
    "take_to_look_at": lambda store: store.take_to_look_at(a_host(), after_seconds=1),
    "unmark_sent": lambda store: store.unmark_sent("id"),
    "wake_retries": lambda store: store.wake_retries(),
    "beat": lambda store: store.beat(a_host(), gap_seconds=60),
    "forget_hosts": lambda store: store.forget_hosts(silent_seconds=1),
    "take_from_lost_host": lambda store: store.take_from_lost_host("id", by=HOST, after_seconds=1, lease_seconds=1),
    "delete_ended": lambda store: store.delete_ended(older_than_seconds=1, limit=1),
    "cancel": lambda store: store.cancel("id", force=False),
    "note_run_ended": lambda store: store.note_run_ended("id", attempt=1),
    "recognise": lambda store: store.recognise("id", host=a_host(HOST)),
    "leave": lambda store: store.leave(HOST),
    "drain": lambda store: store.drain("gpu-1", reason=""),
    "undrain": lambda store: store.undrain("gpu-1"),
    "ping": lambda store: store.ping(),
    "take_alert": lambda store: store.take_alert({"discord"}, lease_seconds=1),
    "take_stray_alert": lambda store: store.take_stray_alert({"a"}, older_than_seconds=1, lease_seconds=1),
    "ask_for_trials": lambda store: store.ask_for_trials({"a"}),
    "take_trial": lambda store: store.take_trial({"a"}),
    "end_trial": lambda store: store.end_trial(Trial("id", "a", NOW)),
    "alert_sent": lambda store: store.alert_sent(ALERT),
    "alert_failed": lambda store: store.alert_failed(ALERT, retry_in_seconds=None),
    "create_trigger": lambda store: store.create_trigger(a_trigger()),
    "change_trigger": lambda store: store.change_trigger("id", a_trigger()),
    "delete_trigger": lambda store: store.delete_trigger("id"),
    "pause_trigger": lambda store: store.pause_trigger("id", reason=""),
    "resume_trigger": lambda store: store.resume_trigger("id"),
    "pause_triggers": lambda store: store.pause_triggers(reason=""),
    "resume_triggers": lambda store: store.resume_triggers(),
    "report": lambda store: store.report("id", OCCURRENCE),
    "fire_trigger": lambda store: store.fire_trigger("id", OCCURRENCE, new_job()),
    "settle_trigger": lambda store: store.settle_trigger(DUE, Settlement(look_at=None)),
    "forget_trigger_events": lambda store: store.forget_trigger_events(older_than_days=1, most=1),
    "create_token": lambda store: store.create_token(TOKEN),
    "create_session": lambda store: store.create_session(SESSION),
    "end_session": lambda store: store.end_session("hash"),
    "rotate_token": lambda store: store.rotate_token("ci", hashed="h", hint="art_", overlap_seconds=0),
    "revoke_token": lambda store: store.revoke_token("ci"),
}


def _with_claim(store: JobStore) -> dict[str, Call]:
    held = running(store)
    return {
        "renew": lambda s: s.renew(held, lease_seconds=60),
        "release": lambda s: s.release(held),
        "resolve": lambda s: s.resolve(held, Resolution(image="i")),
        "begin_start": lambda s: s.begin_start(held, lease_seconds=60),
        "started": lambda s: s.started(held, runner="docker", container="c"),
        "append_log": lambda s: s.append_log(held, b"x", source_offset=1),
        "finish": lambda s: s.finish(held, SUCCEEDED),
        "secret": lambda s: s.secret(held),
    }


def _answering(store: JobStore, calls: dict[str, Call]) -> list[str]:
    """Names of the calls that do not raise StoreUnavailable."""
    names = []
    for name, call in calls.items():
        try:
            call(store)
        except StoreUnavailable:
            continue
        names.append(name)
    return names


def test_every_method_says_that_the_store_is_unavailable_and_works_again_when_it_is_back(
    postgres_server: PostgresServer, postgresql_url: str
) -> None:
    store = SqlStore(postgresql_url)
    calls = {**READS, **WRITES, **_with_claim(store)}
    job_id = submit(store)
    postgres_server.stop()
    try:
        before = time.monotonic()
        assert _answering(store, calls) == []
        assert time.monotonic() - before < 10
    finally:
        postgres_server.start()
    assert store.get(job_id).state is JobState.QUEUED
    assert claim(store, job_id).attempt.number == 1
    store.close()


def test_the_memory_twin_fails_in_every_method_when_it_is_taken_down() -> None:
    store = MemoryStore()
    calls = {**READS, **WRITES, **_with_claim(store)}
    assert set(calls) == {name for name in dir(JobStore) if not name.startswith("_")}
    store.down = True
    assert _answering(store, calls) == []
    store.down = False
    store.ping()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waits for locks are a second at most."""
    monkeypatch.setattr(engine, "WAIT_SECONDS", 1)


@pytest.fixture
def locked_file(sqlite_url: str) -> Iterator[sqlite3.Connection]:
    """Another process's connection to the SQLite file, which holds the write lock."""
    connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    yield connection
    connection.close()


def test_sqlite_writes_give_up_on_a_lock_that_stays_and_reads_go_on(
    sqlite_url: str, locked_file: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAIT_SECONDS", 0.25)  # each of so many writes waits for that long
    locked_file.execute("COMMIT")
    store = SqlStore(sqlite_url)
    calls = _with_claim(store)
    job_id = submit(store)
    store.create_token(TOKEN)
    locked_file.execute("BEGIN EXCLUSIVE")
    assert _answering(store, {**WRITES, **calls}) == []
    assert store.find_token(TOKEN.hash)  # its use is not noted then
    assert store.get(job_id).state is JobState.QUEUED
    assert len(store.list(JobFilter(), limit=5)) == 2
    locked_file.execute("COMMIT")
    store.ping()
    store.close()


@pytest.mark.usefixtures("impatient")
def test_a_crowd_of_threads_on_one_sqlite_file_gets_its_turn(sqlite_url: str) -> None:
    store = SqlStore(sqlite_url)
    at_once(32, lambda _: [submit(store) for _ in range(20)])
    assert len(store.list(JobFilter(), limit=1000)) == 640
    store.close()


def test_sqlite_waits_for_a_lock_that_passes(sqlite_url: str, locked_file: sqlite3.Connection) -> None:
    locked_file.execute("COMMIT")
    store = SqlStore(sqlite_url)

    def hold_or_submit(number: int) -> str | None:
        if number:
            return submit(store)
        connection = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("UPDATE jobs SET version = version")
        connection.execute("COMMIT")
        connection.close()
        return None

    assert len([job_id for job_id in at_once(5, hold_or_submit) if job_id]) == 4
    store.close()


@pytest.mark.usefixtures("impatient")
def test_postgresql_gives_up_on_a_row_that_stays_locked(postgresql_url: str) -> None:
    store = SqlStore(postgresql_url)
    job_id = submit(store)
    with store.engine.connect() as other, other.begin():
        other.execute(sa.text("SELECT 1 FROM jobs FOR UPDATE"))
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            try_claim(store, job_id)
        assert store.take_sendable(a_host(), resend_after_seconds=0) == []
        assert store.get(job_id).state is JobState.QUEUED
    claim(store, job_id)
    store.close()


def test_a_connection_that_breaks_in_a_transaction_is_told_and_leaves_nothing(
    postgres_server: PostgresServer, postgresql_url: str
) -> None:
    store = SqlStore(postgresql_url)
    job_id = submit(store)
    with pytest.raises(StoreUnavailable):
        _change_on_a_connection_that_breaks(store, postgres_server)
    assert store.get(job_id).version == 1
    store.close()


def _change_on_a_connection_that_breaks(store: SqlStore, server: PostgresServer) -> None:
    with store.writing() as transaction:
        transaction.execute(sa.text("UPDATE jobs SET version = 99"))
        server.end_connection(transaction.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())
        transaction.execute(sa.text("SELECT 1"))
