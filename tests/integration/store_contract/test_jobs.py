"""What every job store does for the API: submit, get, list, logs, versions, times. One suite, three stores."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import IdempotencyKeyReused, JobNotFound
from shared.jobs.model import JobState
from shared.jobs.records import Cursor, Ending, JobFilter, Resolution
from shared.jobs.store import JobStore
from tests.support.jobs import (
    DOCKER_AWAY,
    HOST,
    SUCCEEDED,
    a_host,
    claim,
    claimed,
    ended,
    in_retry_wait,
    new_job,
    running,
    submit,
    try_claim,
)
from tests.support.threads import at_once
from tests.support.waiting import wait_until

ANY = JobFilter()
MANY = 100
CLOCK_SKEW = timedelta(minutes=5)


def _ids(store: JobStore, where: JobFilter) -> set[str]:
    return {job.id for job in store.list(where, limit=MANY)}


def test_a_submitted_job_is_queued_and_reads_back_as_it_was_given(store: JobStore) -> None:
    new = new_job(model_name="iris-model", queue="gpu", priority=7, labels={"team": "vision", "why": "drift"})
    submission = store.submit(new)
    job = store.get(new.id)
    assert submission.created
    assert submission.job == job
    assert (job.state, job.version, job.attempts) == (JobState.QUEUED, 1, ())
    assert (job.model_name, job.queue, job.priority, job.labels) == ("iris-model", "gpu", 7, new.labels)
    assert job.request == new.request
    assert [(t.from_state, t.to_state, t.attempt) for t in job.transitions] == [(None, JobState.QUEUED, 0)]


def test_jobs_are_listed_by_how_their_ids_begin(store: JobStore) -> None:
    one, other = (submit(store, id=f"{start}-3a4b-4b2e-9a6d-000000000001") for start in ("5c2f7c1e", "5c2f7c1f"))
    assert _ids(store, JobFilter(id_start="5c2f7c1")) == {one, other}
    assert _ids(store, JobFilter(id_start="5c2f7c1e")) == {one}
    assert _ids(store, JobFilter(id_start="%")) == set()


@pytest.mark.parametrize("request_id", ["nightly.7", "x" * 64, None])
def test_the_id_of_the_request_stays_with_the_job(store: JobStore, request_id: str | None) -> None:
    taken = running(store, request_id=request_id)
    job_id = store.finish(taken, Ending(JobState.FAILED, DOCKER_AWAY, retry_in_seconds=0)).id
    listed = [job.request_id for job in store.list(ANY, limit=MANY) if job.id == job_id]
    assert [taken.job.request_id, store.get(job_id).request_id, *listed] == [request_id] * 3


def test_a_repeated_submit_keeps_the_id_of_the_first_request(store: JobStore) -> None:
    store.submit(new_job(request_id="first"), idempotency_key="key", payload_hash="hash")
    again = store.submit(new_job(request_id="second"), idempotency_key="key", payload_hash="hash")
    assert again.job.request_id == "first"


def test_credentials_are_in_no_record_that_is_read(store: JobStore) -> None:
    new = new_job(secret=b"sealed")
    assert store.submit(new).job.secret is None
    assert store.get(new.id).secret is None
    assert [job.secret for job in store.list(ANY, limit=MANY)] == [None]


def test_an_unknown_id_is_not_found(store: JobStore) -> None:
    for read in (store.get, store.get_version):
        with pytest.raises(JobNotFound) as caught:
            read("no-such-job")
        assert caught.value.facts == {"job_id": "no-such-job"}


def test_an_id_that_no_database_can_hold_is_not_found(store: JobStore) -> None:
    with pytest.raises(JobNotFound):
        store.get("job\x00")
    assert store.list(JobFilter(experiment_name="ir\x00is", label=("a\x00", "\ud800")), limit=MANY) == []


def test_the_same_key_and_payload_give_the_same_job(store: JobStore) -> None:
    first = store.submit(new_job(), idempotency_key="key", payload_hash="hash")
    again = store.submit(new_job(), idempotency_key="key", payload_hash="hash")
    assert (first.created, again.created) == (True, False)
    assert again.job == first.job
    assert _ids(store, ANY) == {first.job.id}


def test_the_same_key_with_another_payload_is_refused_and_names_the_job(store: JobStore) -> None:
    first = store.submit(new_job(), idempotency_key="key", payload_hash="hash").job.id
    with pytest.raises(IdempotencyKeyReused) as caught:
        store.submit(new_job(), idempotency_key="key", payload_hash="other")
    assert caught.value.facts == {"job_id": first}
    assert _ids(store, ANY) == {first}


def test_without_a_key_each_submit_is_a_new_job(store: JobStore) -> None:
    assert store.submit(new_job(), payload_hash="hash").created
    assert store.submit(new_job(), payload_hash="hash").created


def test_twenty_submits_with_one_key_at_once_make_one_job(store: JobStore) -> None:
    made = at_once(20, lambda _: store.submit(new_job(), idempotency_key="key", payload_hash="hash"))
    assert len({submission.job.id for submission in made}) == 1
    assert [submission.created for submission in made].count(True) == 1
    assert len(_ids(store, ANY)) == 1


def test_one_key_with_two_payloads_at_once_makes_one_job_and_refuses_the_rest(store: JobStore) -> None:
    def submit_either(number: int) -> bool:
        try:
            store.submit(new_job(), idempotency_key="key", payload_hash=str(number % 2))
        except IdempotencyKeyReused:
            return False
        return True

    assert at_once(20, submit_either).count(True) == 10
    assert len(_ids(store, ANY)) == 1


def test_the_key_still_finds_the_job_after_its_end(store: JobStore) -> None:
    job_id = store.submit(new_job(), idempotency_key="key", payload_hash="hash").job.id
    store.finish(claim(store, job_id), SUCCEEDED)
    again = store.submit(new_job(), idempotency_key="key", payload_hash="hash")
    assert (again.created, again.job.state) == (False, JobState.SUCCEEDED)


def test_jobs_are_listed_newest_first_with_attempts_and_labels_and_without_transitions(store: JobStore) -> None:
    older = submit(store, labels={"team": "vision"})
    wait_until(lambda: _newest_time(store) > store.get(older).created_at)
    newer = running(store).job.id
    jobs = [job for job in store.list(ANY, limit=MANY) if job.id in (older, newer)]
    assert [job.id for job in jobs] == [newer, older]
    assert [len(job.attempts) for job in jobs] == [1, 0]
    assert [job.labels for job in jobs] == [{}, {"team": "vision"}]
    assert [job.transitions for job in jobs] == [(), ()]


def _newest_time(store: JobStore) -> datetime:
    return store.submit(new_job()).job.created_at


def test_jobs_are_found_by_state(store: JobStore) -> None:
    queued, done, waiting = submit(store), ended(store), in_retry_wait(store)
    assert _ids(store, JobFilter(states=frozenset({JobState.QUEUED}))) == {queued}
    assert _ids(store, JobFilter(states=frozenset({JobState.SUCCEEDED, JobState.RETRY_WAIT}))) == {done, waiting}
    assert _ids(store, JobFilter(states=frozenset())) == set()


def test_jobs_are_found_by_experiment_and_by_model(store: JobStore) -> None:
    iris = submit(store, experiment_name="iris", model_name="m")
    wine = submit(store, experiment_name="wine", model_name="m")
    plain = submit(store, experiment_name="wine")
    assert _ids(store, JobFilter(experiment_name="iris")) == {iris}
    assert _ids(store, JobFilter(model_name="m")) == {iris, wine}
    assert _ids(store, JobFilter(experiment_name="wine", model_name="m")) == {wine}
    assert plain in _ids(store, JobFilter(experiment_name="wine"))


def test_jobs_are_found_by_a_labels_name_or_value(store: JobStore) -> None:
    vision = submit(store, labels={"team": "vision", "why": "drift"})
    speech = submit(store, labels={"team": "speech"})
    submit(store)
    assert _ids(store, JobFilter(label=("team", None))) == {vision, speech}
    assert _ids(store, JobFilter(label=("team", "vision"))) == {vision}
    assert _ids(store, JobFilter(label=("why", "vision"))) == set()


def test_jobs_are_found_by_how_their_commits_begin(store: JobStore) -> None:
    one, again, other = (_of_commit(store, sha * 20) for sha in ("ab", "ab", "ac"))
    submit(store)
    assert _ids(store, JobFilter(commit_start="ababab")) == {one, again}
    assert _ids(store, JobFilter(commit_start="ac" * 20)) == {other}
    assert _ids(store, JobFilter(commit_start="a", model_name="m")) == {one, again, other}
    assert _ids(store, JobFilter(commit_start="a%")) == set()
    assert _ids(store, JobFilter(commit_start="ababab", states=frozenset({JobState.STARTING}))) == {one, again}


def test_many_commits_may_begin_alike(store: JobStore) -> None:
    jobs = [_of_commit(store, f"abcdef{number}" + "0" * 33) for number in range(8)]
    in_order = [job.id for job in store.list(ANY, limit=MANY) if job.id in jobs]
    assert [job.id for job in store.list(JobFilter(commit_start="abcdef"), limit=3)] == in_order[:3]
    assert _ids(store, JobFilter(commit_start="abcdef")) == set(jobs)


def _of_commit(store: JobStore, sha: str) -> str:
    taken = claimed(store, model_name="m")
    store.resolve(taken, Resolution(commit_sha=sha))
    return taken.job.id


def test_jobs_are_found_by_the_host_of_their_last_attempt(store: JobStore) -> None:
    moved = in_retry_wait(store, seconds=0)
    store.wake_retries()
    assert _ids(store, JobFilter(host=HOST)) == {moved}
    claim(store, moved, host="other")
    assert _ids(store, JobFilter(host=HOST)) == set()
    assert _ids(store, JobFilter(host="other")) == {moved}


def test_jobs_are_found_by_any_of_several_things_each_once(store: JobStore) -> None:
    both = submit(store, experiment_name="wine", model_name="iris", labels={"iris": "1"})
    model = submit(store, model_name="iris")
    label = submit(store, labels={"iris": "1", "team": "vision"})
    submit(store, labels={"iris": "2"})
    ways = (JobFilter(experiment_name="wine"), JobFilter(model_name="iris"), JobFilter(label=("iris", "1")))
    found = [job.id for job in store.list(JobFilter(any_of=ways), limit=MANY)]
    assert found == [job.id for job in store.list(ANY, limit=MANY) if job.id in (both, model, label)]
    assert _ids(store, JobFilter(any_of=ways, label=("team", None))) == {label}
    assert _ids(store, JobFilter(any_of=ways, model_name="iris")) == {both, model}
    assert _ids(store, JobFilter(any_of=ways, states=frozenset({JobState.FAILED}))) == set()
    assert _ids(store, JobFilter(any_of=(JobFilter(commit_start="abcdef"),))) == set()


def test_jobs_are_found_by_the_time_after_which_they_were_created(store: JobStore) -> None:
    older = store.submit(new_job()).job
    newer = wait_until(lambda: _later_than(store, older.created_at))
    assert _ids(store, JobFilter(created_after=older.created_at - timedelta(days=1))) >= {older.id, newer}
    found = _ids(store, JobFilter(created_after=older.created_at))
    assert newer in found
    assert older.id not in found


def _later_than(store: JobStore, at: datetime) -> str | None:
    job = store.submit(new_job()).job
    return job.id if job.created_at > at else None


def test_pages_hold_each_job_once_while_others_are_submitted(store: JobStore) -> None:
    mine = [submit(store) for _ in range(7)]
    seen: list[str] = []
    after: Cursor | None = None
    while page := store.list(ANY, limit=3, after=after):
        seen += [job.id for job in page]
        after = Cursor(page[-1].created_at, page[-1].id)
        wait_until(lambda: _newest_time(store) > page[0].created_at)
    assert len(seen) == len(set(seen))
    assert [job_id for job_id in seen if job_id in mine] == [
        job.id for job in store.list(ANY, limit=MANY) if job.id in mine
    ]
    assert set(mine) <= set(seen)


def test_jobs_of_one_moment_are_paged_by_id(store: JobStore) -> None:
    at_once(20, lambda _: submit(store))
    pages, after = list[str](), None
    while page := store.list(ANY, limit=1, after=after):
        pages.append(page[0].id)
        after = Cursor(page[0].created_at, page[0].id)
    assert pages == [job.id for job in store.list(ANY, limit=MANY)]


def test_a_record_that_is_read_while_it_changes_is_of_one_moment(store: JobStore) -> None:
    job_id = submit(store)

    def change_or_read(number: int) -> None:
        for _ in range(30):
            if number == 0:
                store.finish(claim(store, job_id), Ending(JobState.FAILED, DOCKER_AWAY, retry_in_seconds=0))
                wait_until(store.wake_retries, every_seconds=0.001)
            job = store.get(job_id)
            assert (job.state, len(job.attempts)) == (job.transitions[-1].to_state, job.transitions[-1].attempt)

    at_once(4, change_or_read)


def test_the_version_grows_with_what_is_shown_and_with_nothing_else(store: JobStore) -> None:
    job_id = submit(store, concurrency_key="k")
    seen = [store.get_version(job_id)[0]]

    def grew() -> bool:
        seen.append(store.get_version(job_id)[0])
        return seen[-1] > seen[-2]

    store.unmark_sent(job_id)
    store.take_sendable(a_host(slots=1), resend_after_seconds=0)
    assert not grew()
    taken = claim(store, job_id)
    assert grew()
    store.renew(taken, lease_seconds=60)
    store.secret(taken)
    store.append_log(taken, b"text", source_offset=4)
    assert not grew()
    store.resolve(taken, Resolution(commit_sha="a" * 40))
    assert grew()
    store.started(taken, runner="docker", container="c")
    assert grew()
    store.started(taken, runner="docker", container="c")
    store.ping()
    assert not grew()
    store.finish(taken, SUCCEEDED)
    assert grew()
    assert store.get_version(job_id) == (store.get(job_id).version, JobState.SUCCEEDED)


def test_a_refused_claim_does_not_change_the_version(store: JobStore) -> None:
    claimed(store, concurrency_key="k")
    job_id = submit(store, concurrency_key="k")
    assert try_claim(store, job_id, host="h") is None
    assert store.get_version(job_id) == (1, JobState.QUEUED)


def test_all_times_are_aware_utc_and_near_now(store: JobStore) -> None:
    job = store.get(ended(store))
    times = [job.created_at, job.queued_at, job.started_at, job.ended_at, job.attempt.started_at, job.attempt.ended_at]
    times += [transition.at for transition in job.transitions]
    for at in times:
        assert at is not None
        assert at.tzinfo is UTC
        assert abs(at - datetime.now(UTC)) < CLOCK_SKEW
    assert times[-3:] == sorted(times[-3:], key=lambda at: at or datetime.max.replace(tzinfo=UTC))
    waiting = store.get(in_retry_wait(store, seconds=60)).next_attempt_at
    assert waiting is not None
    assert waiting.tzinfo is UTC


def test_ping_can_be_called_by_many_at_once(store: JobStore) -> None:
    at_once(20, lambda _: store.ping())
