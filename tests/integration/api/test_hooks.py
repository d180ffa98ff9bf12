"""What is sent becomes a job: from a signed request, over the store in SQL, by a worker's look."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from api.app import create_app
from shared.jobs.model import Job
from shared.jobs.records import JobFilter
from shared.secrets.redactor import Redactor
from shared.secrets.vault import Vault
from shared.settings import Settings
from shared.sql import SqlStore
from tests.fakes.queue import RecordingQueue
from tests.fakes.source import FakeSource
from tests.fakes.tracking import FakeTracking
from tests.support.threads import at_once
from tests.unit.api.hooks.senders import (
    COMMIT,
    WORD,
    Desk,
    as_bytes,
    from_github,
    github_push,
    notification,
)
from worker.credentials.keys import Keyring
from worker.interruption import NEVER
from worker.triggers.looking import TriggerLooking
from worker.triggers.seam import Around


@dataclass(frozen=True)
class Service:
    """An API and a worker's looks, on one store."""

    desk: Desk
    looking: TriggerLooking

    def look(self) -> None:
        """Look until nothing is due."""
        while self.looking.once():
            pass

    def jobs(self) -> list[Job]:
        """All jobs."""
        return list(self.desk.store.list(JobFilter(), limit=9))


@pytest.fixture
def service(sqlite_url: str, tmp_path: Path) -> Iterator[Service]:
    store = SqlStore(sqlite_url)
    vault, queue = Vault(Fernet.generate_key()), RecordingQueue()
    settings = Settings.load(_env_file=None, data_dir=tmp_path, api_tokens="t")
    app = create_app(settings, store=store, queue=queue, vault=vault)
    around = Around(
        settings=settings, store=store, source=FakeSource(tmp_path), tracking=FakeTracking(), interruption=NEVER
    )
    yield Service(Desk(app.test_client(), store, vault), TriggerLooking(around, queue, Keyring(vault), Redactor()))
    store.close()


def test_a_push_becomes_one_job_of_the_commit_that_was_pushed(service: Service) -> None:
    service.desk.trigger("on-push", WORD, git={"repository": "github.com/user/iris", "branches": ["main"]})
    sent = as_bytes(github_push())
    answers = at_once(8, lambda _: service.desk.send("/hooks/github", sent, from_github(WORD, sent)).status_code)
    assert set(answers) == {200}
    service.look()
    service.desk.send("/hooks/github", sent, from_github(WORD, sent, delivery="again"))
    service.look()
    [job] = service.jobs()
    assert (job.request["commit_hash"], job.trigger_name) == (COMMIT, "on-push")
    [event] = service.desk.store.trigger_events("on-push", limit=9)
    assert (event.outcome, event.job_id) == ("fired", job.id)
    assert event.reason.startswith("git: branch main")


def test_alerts_of_one_notification_become_one_job(service: Service) -> None:
    service.desk.trigger("on-drift", WORD, signal={})
    alerts = [{**notification()["alerts"][0], "fingerprint": each} for each in "abc"]
    for _ in range(2):
        service.desk.send(
            "/triggers/on-drift/signal", as_bytes(notification(*alerts)), {"Authorization": f"Bearer {WORD}"}
        )
        service.look()
    assert len(service.jobs()) == 1


def test_refusals_on_a_store_in_sql_are_one_event(service: Service) -> None:
    service.desk.trigger("on-push", WORD, git={"repository": "*"})
    sent = as_bytes(github_push())
    answers = at_once(8, lambda _: service.desk.send("/hooks/github", sent, from_github("wrong", sent)).status_code)
    assert set(answers) == {401}
    assert service.desk.events("on-push") == [("refused", "signature wrong")]
