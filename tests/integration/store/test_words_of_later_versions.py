"""A word that a later version wrote into the shared database stops nobody who reads it, and stays as it was written."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask.testing import FlaskClient

from api.alert_trials import result_of
from api.app import create_app
from shared.alerts.model import AlertEvent, Alerting
from shared.errors import StateUnknown
from shared.jobs.observations import NewObservation
from shared.jobs.promotions import Kind, NewPromotion, PromotionState
from shared.jobs.records import JobFilter
from shared.scheduling.hosts import QueueCode
from shared.scheduling.limits import Limits
from shared.secrets.redactor import Redactor
from shared.secrets.vault import Vault
from shared.settings import Settings
from shared.sql import SqlStore
from shared.sql.column_types import Word
from shared.sql.model_tables import model_alerts
from shared.sql.tables import alert_trials as trials
from shared.sql.tables import alerts, jobs, metadata
from shared.sql.triggers.tables import triggers
from shared.words import is_known
from tests.fakes.queue import RecordingQueue
from tests.fakes.worker import FakeWorker
from tests.support.alerting.records import LINKS, a_job, news
from tests.support.jobs import FAILED, a_host, claim, running, submit, try_claim
from tests.support.kept_triggers import add as add_trigger
from tests.support.kept_triggers import nothing_is_due, report
from tests.support.servers.alert_workers import AnsweringChannel
from worker.alerts.discord.channel import Discord
from worker.alerts.posting import Endpoint
from worker.alerts.sender import AlertSender

WORD = "of_later"
COLUMNS = [
    pytest.param(column, id=f"{table.name}.{column.name}")
    for table in metadata.sorted_tables
    for column in table.columns
    if isinstance(column.type, Word)
]
CHANNEL = "webhook"


@pytest.fixture
def told_store(sql_url: str) -> Iterator[SqlStore]:
    """A store of each kind that tells of starts and ends."""
    events = {AlertEvent.STARTED, AlertEvent.FAILED, AlertEvent.CHAMPION_CHANGED, AlertEvent.APPROVAL_WANTED}
    alerting = Alerting(frozenset(events), frozenset({CHANNEL}))
    store = SqlStore(sql_url, limits=Limits(per_key=100), alerting=alerting)
    yield store
    store.close()


@pytest.fixture
def client(told_store: SqlStore, tmp_path: Path) -> FlaskClient:
    settings = Settings.load(_env_file=None, data_dir=tmp_path, api_tokens=())
    app = create_app(settings, store=told_store, queue=RecordingQueue(), vault=Vault(Fernet.generate_key()))
    return app.test_client()


def write(store: SqlStore, column: sa.Column[str], word: str, *where: sa.ColumnElement[bool]) -> None:
    """Write the word as a later version does: past our own types."""
    with store.writing() as transaction:
        raw = sa.table(column.table.name, sa.column(column.name))
        where = where or (raw.c[column.name].is_not(None),)
        transaction.execute(sa.update(raw).where(*where).values({column.name: sa.literal(word, sa.String())}))


def read(store: SqlStore, column: sa.Column[str]) -> set[str]:
    with store.reading() as transaction:
        raw = sa.table(column.table.name, sa.column(column.name, sa.String()))
        return {row[0] for row in transaction.all(sa.select(raw)) if row[0] is not None}


def busy(store: SqlStore) -> str:
    """Hosts, a failed, a running and a waiting job, their alerts, a test and a trigger; returns the failed job's id."""
    store.beat(a_host(), gap_seconds=60)
    labelled = submit(store, labels={"team": "vision"})
    failed = store.finish(claim(store, labelled), FAILED).id  # one alert for each job: an event stands in the key
    running(store)
    store.unmark_sent(submit(store))
    store.ask_for_trials([CHANNEL])
    for alias, state in (("champion", PromotionState.PROMOTED), ("staging", PromotionState.AWAITING_APPROVAL)):
        store.propose(NewPromotion("iris", alias, Kind.ROLLBACK, "1", None, state, "ann", "because"), seen=0)
    store.observe(NewObservation("iris", "accuracy", 0.9, "api"))
    add_trigger(store)
    report(store, "signal 1")
    store.beat(a_host("full", closed_because=QueueCode.DISK_FULL), gap_seconds=60)
    return failed


@pytest.mark.parametrize("column", COLUMNS)
def test_what_the_api_shows_goes_on_and_shows_the_word(
    column: sa.Column[str], told_store: SqlStore, client: FlaskClient
) -> None:
    job_id = busy(told_store)
    write(told_store, column, WORD)
    [line, *_] = told_store.history("iris", limit=10)
    models = ("/models/iris/history", f"/promotions/{line.promotion_id}", "/models/iris/observations")
    paths = ("/jobs", f"/jobs/{job_id}", f"/jobs/{job_id}/logs", "/workers", "/metrics", "/readyz", *models)
    answers = {path: client.get(path) for path in paths}
    assert {path: answer.status_code for path, answer in answers.items()} == dict.fromkeys(paths, 200)
    if column.table.name in ("jobs", "attempts", "transitions"):
        assert f'"{WORD}"' in answers[f"/jobs/{job_id}"].text
    if column.table.name in ("model_events", "promotions"):
        assert f'"{WORD}"' in answers[models[column.table.name == "promotions"]].text
    if column.table.name == "observations":
        assert f'"{WORD}"' in answers[models[2]].text
    if column.table.name == "workers":
        assert f'"{WORD}"' in answers["/workers"].text


@pytest.mark.parametrize("column", COLUMNS)
def test_what_a_worker_does_goes_on_and_leaves_the_word(
    column: sa.Column[str], told_store: SqlStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    busy(told_store)
    write(told_store, column, WORD)
    worker = FakeWorker.new(tmp_path, worker_host="another")
    worker = worker.restarted(store=told_store)
    worker.turn(reconcile=True)
    sender, rounds = AlertSender(told_store, {CHANNEL: AnsweringChannel()}), 0
    while sender.once():
        rounds += 1
    assert rounds <= 6  # a test message, two alerts about jobs and three about models, each once
    assert not [each for each in caplog.records if each.exc_info]  # a sweep survives what fails, and says so
    assert WORD in read(told_store, column)


def test_a_job_in_a_state_of_a_later_version_is_left_to_that_version(told_store: SqlStore, client: FlaskClient) -> None:
    job_id = submit(told_store)
    told_store.unmark_sent(job_id)
    write(told_store, jobs.c.state, WORD)
    assert try_claim(told_store, job_id) is None
    assert told_store.take_sendable(a_host(), resend_after_seconds=60) == []
    assert (told_store.wake_retries(), told_store.delete_ended(older_than_seconds=-60, limit=10)) == (0, 0)
    with pytest.raises(StateUnknown, match=WORD):
        told_store.cancel(job_id, force=True)
    refused = [client.post(f"/jobs/{job_id}/{what}") for what in ("cancel", "retry")]
    assert [(each.status_code, (each.json or {})["code"]) for each in refused] == [
        (409, "STATE_UNKNOWN"),
        (409, "JOB_NOT_ENDED"),
    ]
    (job,) = told_store.list(JobFilter(), limit=10)
    assert (str(job.state), is_known(job.state), job.state.is_terminal) == (WORD, False, False)
    assert client.get("/jobs?state=of_later").status_code == 422  # asked for, it is a mistake


def test_an_event_of_a_later_version_waits_for_its_workers_and_nothing_waits_for_it(told_store: SqlStore) -> None:
    told_store.finish(running(told_store), FAILED)
    write(told_store, alerts.c.event, WORD, sa.column("event") == "started")
    taken = told_store.take_alert([CHANNEL], lease_seconds=60)
    assert taken is not None
    assert taken.event is AlertEvent.FAILED
    told_store.alert_sent(taken)
    assert told_store.take_alert([CHANNEL], lease_seconds=60) is None
    assert told_store.take_stray_alert([], older_than_seconds=-60, lease_seconds=60) is None
    assert told_store.get_statistics().alerts[CHANNEL].count == 1


def test_an_event_of_a_later_version_about_a_model_waits_for_its_workers_and_nothing_waits_for_it(
    told_store: SqlStore,
) -> None:
    for version in ("1", "2"):
        new = NewPromotion("iris", "champion", Kind.ROLLBACK, version, None, PromotionState.PROMOTED, "ann", "because")
        told_store.propose(new, seen=told_store.last_event("iris", "champion"))
    with told_store.reading() as transaction:
        first = transaction.execute(sa.select(sa.func.min(model_alerts.c.number))).scalar_one()
    write(told_store, model_alerts.c.event, WORD, sa.column("number") == first)
    taken = told_store.take_alert([CHANNEL], lease_seconds=60)
    assert taken is not None
    assert taken.line is not None
    assert taken.line.number > first
    told_store.alert_sent(taken)
    assert told_store.take_alert([CHANNEL], lease_seconds=60) is None
    assert told_store.get_statistics().alerts[CHANNEL].count == 1


def test_a_test_message_in_a_state_of_a_later_version_is_told_as_it_is(told_store: SqlStore) -> None:
    ids = [trial.id for trial in told_store.ask_for_trials([CHANNEL])]
    write(told_store, trials.c.state, WORD)
    (result,) = map(result_of, told_store.list_trials(ids))
    assert result.outcome == "no_answer"
    assert WORD in result.cause


def test_a_job_whose_request_asks_for_an_event_of_a_later_version_is_told_of_in_the_others(
    told_store: SqlStore,
) -> None:
    request = {"alerts": {"events": [WORD, "failed"]}}
    told_store.finish(claim(told_store, submit(told_store, request=request)), FAILED)
    assert read(told_store, alerts.c.event) == {"failed"}


def test_discord_is_told_of_a_failure_whose_code_it_does_not_know(told_store: SqlStore) -> None:
    job_id = told_store.finish(running(told_store), FAILED).id
    write(told_store, jobs.c.reason_code, WORD)
    job = a_job(reason=told_store.get(job_id).reason)
    discord = Discord(Endpoint("https://discord.example", {}), links=LINKS, redactor=Redactor(()))
    told = discord.message(news(AlertEvent.FAILED, job=job))["embeds"][0]["description"]
    assert FAILED.reason is not None
    assert FAILED.reason.message in told
    assert "What to do" not in told


@pytest.mark.parametrize("column", ["kind", "state"])
def test_a_trigger_of_a_later_version_is_left_to_that_version(told_store: SqlStore, column: str) -> None:
    add_trigger(told_store)
    report(told_store, "signal 1")
    write(told_store, triggers.c[column], WORD)
    assert nothing_is_due(told_store)
    (trigger,) = told_store.list_triggers()
    assert str(getattr(trigger, column)) == WORD
