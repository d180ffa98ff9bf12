"""How every job store keeps an attempt's output: any slice of it, byte for byte. One suite, three stores."""

import pytest

from shared.errors import JobNotFound
from shared.jobs.model import JobState
from shared.jobs.records import Ending
from shared.jobs.store import JobStore
from tests.support.jobs import DOCKER_AWAY, claim, claimed, running, submit
from tests.support.waiting import wait_until


def _log_of(store: JobStore, job_id: str, *, attempt: int | None = None, offset: int = 0, limit: int = 1000) -> bytes:
    return store.read_log(job_id, attempt=attempt, offset=offset, limit=limit).data


def test_a_log_is_read_in_any_slice_across_its_chunks(store: JobStore) -> None:
    claim = running(store)
    text = b"0123456789" * 5
    for start in range(0, len(text), 7):
        store.append_log(claim, text[start : start + 7], source_offset=start + 7)
    for offset in range(0, len(text), 3):
        for limit in (1, 7, 8, 20, 1000):
            assert _log_of(store, claim.job.id, offset=offset, limit=limit) == text[offset : offset + limit]
    part = store.read_log(claim.job.id, attempt=1, offset=10, limit=5)
    assert (part.attempt, part.offset, part.data, part.size) == (1, 10, b"01234", 50)


def test_a_negative_offset_counts_from_the_logs_end(store: JobStore) -> None:
    claim = running(store)
    store.append_log(claim, b"first\n", source_offset=6)
    store.append_log(claim, b"last\n", source_offset=11)
    assert _log_of(store, claim.job.id, offset=-5) == b"last\n"
    assert _log_of(store, claim.job.id, offset=-7) == b"t\nlast\n"
    assert _log_of(store, claim.job.id, offset=-1000) == b"first\nlast\n"


def test_past_the_end_of_a_log_there_is_nothing_and_the_offset_says_so(store: JobStore) -> None:
    claim = running(store)
    store.append_log(claim, b"text", source_offset=4)
    part = store.read_log(claim.job.id, attempt=None, offset=100, limit=10)
    assert (part.offset, part.data, part.size) == (4, b"", 4)


def test_a_job_without_a_log_reads_as_empty(store: JobStore) -> None:
    queued, starting = submit(store), claimed(store).job.id
    for job_id, attempt in ((queued, 0), (starting, 1)):
        part = store.read_log(job_id, attempt=None, offset=0, limit=10)
        assert (part.attempt, part.offset, part.data, part.size) == (attempt, 0, b"", 0)


def test_each_attempt_has_a_log_of_its_own_and_the_last_is_read_by_default(store: JobStore) -> None:
    first = running(store)
    store.append_log(first, b"first attempt", source_offset=13)
    store.finish(first, Ending(JobState.FAILED, DOCKER_AWAY, retry_in_seconds=0))
    wait_until(store.wake_retries)
    second = claim(store, first.job.id)
    store.append_log(second, b"second attempt", source_offset=14)
    assert _log_of(store, first.job.id) == b"second attempt"
    assert _log_of(store, first.job.id, attempt=1) == b"first attempt"
    assert _log_of(store, first.job.id, attempt=3) == b""


def test_the_log_of_an_unknown_job_is_not_found_whichever_attempt_is_asked_for(store: JobStore) -> None:
    for attempt in (None, 1):
        with pytest.raises(JobNotFound):
            store.read_log("no-such-job", attempt=attempt, offset=0, limit=10)


def test_a_log_is_bytes_that_need_not_be_text(store: JobStore) -> None:
    claim = running(store)
    store.append_log(claim, b"\x00\xff\xfe", source_offset=3)
    store.append_log(claim, b"", source_offset=9)
    assert _log_of(store, claim.job.id) == b"\x00\xff\xfe"
    attempt = store.get(claim.job.id).attempt
    assert (attempt.log_size, attempt.log_source_offset) == (3, 9)
