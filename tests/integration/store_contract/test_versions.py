"""What every job store does with a request that asks for more than a worker knows: it waits for one that does."""

from dataclasses import replace
from typing import Any

import pytest

from shared.jobs.model import JobState
from shared.jobs.store import JobStore
from shared.requests.retrain_request import KNOWN_FIELDS
from shared.scheduling.hosts import Host, QueueCode
from shared.scheduling.limits import Limits
from tests.support.jobs import LONG_LEASE_SECONDS, a_host, claim, submit, try_claim
from tests.support.stores import MakeStore

PLAIN = {"experiment_name": "iris", "git_uri": "https://git.example/iris.git", "parameters": {"epochs": 3}}
NEWER = {**PLAIN, "resources": {"host_x": "gpu-9"}}
OLD = a_host("old")
NEW = a_host("new", knows=KNOWN_FIELDS | {"resources.host_x"})
EARLIER = a_host("earlier", knows=None)  # of before workers said what they know


@pytest.fixture
def store(make_store: MakeStore) -> JobStore:
    return make_store(limits=Limits(per_key=1))


def _sendable(store: JobStore, host: Host) -> list[str]:
    return [job.id for job in store.take_sendable(host, resend_after_seconds=3600)]


def _unsent(store: JobStore, **fields: Any) -> str:
    job_id = submit(store, **fields)
    store.unmark_sent(job_id)
    return job_id


def test_a_worker_that_does_not_know_a_field_leaves_the_job_and_one_that_knows_it_takes_it(store: JobStore) -> None:
    job_id = _unsent(store, request=NEWER)
    assert try_claim(store, job_id, host=OLD) is None
    job = store.get(job_id)
    assert (job.state, job.attempts) == (JobState.QUEUED, ())
    assert _sendable(store, OLD) == []  # so nobody sends it there for ever
    assert _sendable(store, NEW) == [job_id]
    assert claim(store, job_id, host=NEW).attempt.number == 1


def test_its_place_names_the_field_until_a_worker_knows_it(store: JobStore) -> None:
    job_id = _unsent(store, request=NEWER)
    store.beat(OLD, gap_seconds=60)
    place = store.find_queue_position(job_id)
    assert place is not None
    assert place.code is QueueCode.NEWER_REQUEST
    assert "resources.host_x" in place.message
    store.beat(NEW, gap_seconds=60)
    place = store.find_queue_position(job_id)
    assert place is not None
    assert (place.code, "host new" in place.message) == (QueueCode.NEXT, True)


def test_other_jobs_go_on_those_of_its_key_too(store: JobStore) -> None:
    first = _unsent(store, request=NEWER, concurrency_key="model:iris", priority=9)
    second = _unsent(store, request=PLAIN, concurrency_key="model:iris")
    store.beat(OLD, gap_seconds=60)
    place = store.find_queue_position(second)
    assert place is not None
    assert place.code is QueueCode.NEXT
    assert _sendable(store, a_host("old", slots=1, knows=KNOWN_FIELDS)) == [second]
    assert try_claim(store, second, host=NEW) is None  # where the first one could start it goes before
    claim(store, second, host=OLD)
    assert try_claim(store, first, host=NEW) is None  # the key's limit


def test_an_attempt_that_is_still_prepared_is_taken_over_by_a_worker_that_knows_its_request(store: JobStore) -> None:
    old, new = a_host("gpu-1", knows=OLD.knows), a_host("gpu-1", knows=NEW.knows)
    job_id = submit(store, request=NEWER)
    store.release(claim(store, job_id, host=new))
    assert try_claim(store, job_id, host=old) is None
    store.started(claim(store, job_id, host=new), runner="docker", container="c")
    assert store.get(job_id).attempt.number == 1


def test_what_runs_already_is_watched_by_any_worker_of_its_host(store: JobStore) -> None:
    held = claim(store, submit(store, request=NEWER), host=NEW)
    store.started(held, runner="docker", container="c")
    store.release(held)
    assert store.claim(held.job.id, host=a_host("new", knows=OLD.knows), lease_seconds=LONG_LEASE_SECONDS)


def test_a_worker_that_does_not_say_what_it_knows_is_taken_for_one_of_that_time(store: JobStore) -> None:
    newer, plain = submit(store, request=NEWER), submit(store, request=PLAIN)
    store.beat(EARLIER, gap_seconds=60)
    places = [store.find_queue_position(job_id) for job_id in (newer, plain)]
    assert [place.code for place in places if place] == [QueueCode.NEWER_REQUEST, QueueCode.NEXT]
    assert try_claim(store, newer, host=EARLIER) is None
    claim(store, plain, host=EARLIER)


def test_its_program_which_looks_at_labels_alone_is_kept_from_the_job(store: JobStore) -> None:
    store.beat(EARLIER, gap_seconds=60)
    newer = _unsent(store, request=NEWER, wanted_labels=("a100",))
    assert {*store.get(newer).wanted_labels} - {"a100"}
    assert store.get(submit(store, request=PLAIN)).wanted_labels == ()
    labelled = replace(NEW, labels=("a100",))
    assert _sendable(store, labelled) == [newer]
    claim(store, newer, host=labelled)


def test_no_job_is_kept_from_such_workers_once_there_are_none(store: JobStore) -> None:
    for host in (EARLIER, a_host("stopped")):
        store.beat(host, gap_seconds=60)
    store.leave("stopped")
    store.beat(a_host("earlier", knows=NEW.knows), gap_seconds=60)
    assert store.get(submit(store, request=NEWER)).wanted_labels == ()


def test_what_keeps_it_from_them_is_not_among_the_labels_that_its_place_names(store: JobStore) -> None:
    for host in (EARLIER, NEW):
        store.beat(host, gap_seconds=60)
    place = store.find_queue_position(submit(store, request=NEWER, wanted_labels=("a100",)))
    assert place is not None
    assert (place.code, "the label a100;" in place.message) == (QueueCode.NO_HOST_FITS, True)


def test_what_a_worker_knows_is_kept_with_its_host(store: JobStore) -> None:
    for host in (NEW, EARLIER):
        store.beat(host, gap_seconds=60)
    assert [worker.host.knows for worker in store.list_workers()] == [None, NEW.knows]
