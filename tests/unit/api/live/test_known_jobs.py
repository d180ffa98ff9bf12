"""Jobs' records and answers, remembered by version: nobody sees a difference, except that the store is asked less."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from api.live import known_jobs
from api.live.known_jobs import KnownJobs
from api.representation import whole_job
from shared.errors import JobNotFound
from shared.jobs.model import Job, JobState
from shared.links import Links
from shared.scheduling.hosts import QueueCode
from shared.scheduling.queue_position import QueuePosition
from tests.fakes.store import MemoryStore
from tests.support.jobs import SUCCEEDED, a_host, claim, claimed, ended, submit
from tests.unit.conftest import BODY

LINKS = Links(mlflow="http://mlflow", flower="http://flower", api=None)
PLACE = QueuePosition(2, QueueCode.SLOTS, "the slots are taken", ("job-1",))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def reads(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The jobs whose whole records were read."""
    asked: list[str] = []
    get = store.get

    def note(job_id: str) -> Job:
        asked.append(job_id)
        return get(job_id)

    def get_version(job_id: str) -> tuple[int, JobState]:
        return (job := get(job_id)).version, job.state

    monkeypatch.setattr(store, "get", note)
    monkeypatch.setattr(store, "get_version", get_version)  # the store's own asks for the record
    return asked


@pytest.fixture
def known(store: MemoryStore) -> KnownJobs:
    return KnownJobs(store, most=2)


def _ask(known: KnownJobs, job_id: str, place: QueuePosition | None = None) -> str:
    return known.answer(known.get(job_id), LINKS, place)


def test_who_asks_again_has_the_same_answer_and_no_record_is_read(
    known: KnownJobs, store: MemoryStore, reads: list[str]
) -> None:
    job_id = ended(store)
    reads.clear()
    first = _ask(known, job_id)
    assert [_ask(known, job_id) for _ in range(3)] == [first] * 3
    assert reads == [job_id]
    assert first == whole_job(store.get(job_id), LINKS, None).model_dump_json(by_alias=True)


@pytest.mark.parametrize(
    "change",
    [
        lambda store, job_id: store.set_priority(job_id, 9),
        lambda store, job_id: store.cancel(job_id, force=False),
        lambda store, job_id: store.finish(claim(store, job_id), SUCCEEDED),
    ],
    ids=["priority", "cancel", "end"],
)
def test_a_change_is_seen_at_once(
    known: KnownJobs, store: MemoryStore, change: Callable[[MemoryStore, str], object]
) -> None:
    store.beat(a_host(), gap_seconds=60)
    job_id = submit(store)
    before = _ask(known, job_id)
    change(store, job_id)
    assert _ask(known, job_id) != before
    assert known.get(job_id) == store.get(job_id)


def test_another_place_in_the_queue_is_another_answer_of_the_same_record(
    known: KnownJobs, store: MemoryStore, reads: list[str]
) -> None:
    job_id = submit(store)
    reads.clear()
    answers = [_ask(known, job_id, place) for place in (PLACE, PLACE, replace(PLACE, position=1), None)]
    assert answers[0] == answers[1]
    assert len(set(answers)) == 3
    assert reads == [job_id]


def test_links_below_another_path_are_not_those_of_others(known: KnownJobs, store: MemoryStore) -> None:
    job = known.get(ended(store))
    _ask(known, job.id)
    below = known.answer(job, LINKS.below("/retrain"), None)
    assert f'"self":"/retrain/jobs/{job.id}"' in below
    assert f'"self":"/jobs/{job.id}"' in _ask(known, job.id)


def test_a_deleted_job_is_not_found(known: KnownJobs, store: MemoryStore) -> None:
    job_id = ended(store)
    _ask(known, job_id)
    store.delete_ended(older_than_seconds=-1, limit=10)
    with pytest.raises(JobNotFound):
        known.get(job_id)


def test_a_container_that_becomes_known_while_a_job_is_cancelled_is_told(known: KnownJobs, store: MemoryStore) -> None:
    taken = claimed(store)
    job_id = taken.job.id
    store.cancel(job_id, force=False)
    assert known.get(job_id).state is JobState.CANCELLING
    _ask(known, job_id)
    store.started(taken, runner="docker", container="abc")
    assert '"container":"abc"' in _ask(known, job_id)


def test_the_one_that_was_asked_for_longest_ago_is_forgotten(
    known: KnownJobs, store: MemoryStore, reads: list[str]
) -> None:
    jobs = [ended(store) for _ in range(3)]
    reads.clear()
    for job_id in jobs:
        _ask(known, job_id)
    for job_id in (jobs[2], jobs[1], jobs[0]):
        _ask(known, job_id)
    assert reads == [*jobs, jobs[0]]


def test_a_large_job_is_not_remembered(
    known: KnownJobs, store: MemoryStore, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_jobs, "MOST_CHARACTERS", 100)
    job_id = claimed(store).job.id
    reads.clear()
    assert _ask(known, job_id) == _ask(known, job_id)
    assert reads == [job_id] * 2


def test_over_http_an_answer_that_is_remembered_is_the_same(client: FlaskClient) -> None:
    job_id = (client.post("/retrain", json=BODY).json or {})["id"]
    first, second = (client.get(f"/jobs/{job_id}") for _ in range(2))
    assert first.data == second.data
    without_id = [{**dict(each.headers), "X-Request-Id": ""} for each in (first, second)]
    assert without_id[0] == without_id[1]
