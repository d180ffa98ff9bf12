"""The hint that the store has changed: it wakes who waits for a job, and is looked for only while somebody waits."""

import itertools
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from werkzeug.datastructures import ETags

from api.live import long_poll
from api.live.changes import Changes
from api.live.long_poll import LongPoll
from shared.sql import SqlStore, schema
from shared.sql.watching import find_change_counter
from tests.fakes.store import MemoryStore
from tests.support.jobs import SUCCEEDED, claimed, running, submit
from tests.support.waiting import wait_until

FAR_AWAY_SECONDS = 50.0


class Written:
    """A store's number, and how often it was looked at."""

    def __init__(self) -> None:
        self.number = 0
        self.looks = 0

    def look(self) -> int:
        self.looks += 1
        return self.number


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def changes(written: Written) -> Changes:
    return Changes(written.look)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def _settled(changes: Changes, written: Written) -> int:
    """Let it see the number as it is, which to a new one is a change; return how many it has seen."""
    looks = written.looks
    while written.looks < looks + 2:
        changes.wait(changes.number, seconds=0.05)
    return changes.number


def test_who_waits_is_woken_by_a_change_and_by_nothing_else(
    changes: Changes, written: Written, threads: ThreadPoolExecutor
) -> None:
    number = _settled(changes, written)
    waiting = threads.submit(changes.wait, number, seconds=FAR_AWAY_SECONDS)
    looks = written.looks
    wait_until(lambda: written.looks > looks + 5)
    assert not waiting.done()
    written.number += 1
    waiting.result(timeout=5)
    assert changes.number == number + 1


def test_a_change_before_the_wait_begins_is_not_missed(changes: Changes, written: Written) -> None:
    number = _settled(changes, written)
    written.number += 1
    began = time.monotonic()
    changes.wait(number, seconds=FAR_AWAY_SECONDS)
    assert time.monotonic() - began < 5


def test_a_wait_ends_when_its_time_is_over(changes: Changes, written: Written) -> None:
    number = _settled(changes, written)
    changes.wait(number, seconds=0.02)
    assert changes.number == number


def test_nothing_is_looked_at_while_nobody_waits(changes: Changes, written: Written) -> None:
    _settled(changes, written)
    wait_until(lambda: not changes._somebody_waits.is_set())
    looks = written.looks
    time.sleep(0.05)  # several looks would be due
    assert written.looks <= looks + 1


def test_the_end_of_a_job_is_heard_at_once_and_not_at_the_next_look(
    changes: Changes, written: Written, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "POLL_SECONDS", FAR_AWAY_SECONDS)
    store = MemoryStore()
    taken = running(store)
    _settled(changes, written)
    waiting = threads.submit(
        LongPoll(store, limit=1, changes=changes).wait, taken.job.id, seconds=FAR_AWAY_SECONDS, seen=ETags()
    )
    looks = written.looks
    wait_until(lambda: written.looks > looks + 2)
    store.finish(taken, SUCCEEDED)
    written.number += 1
    waiting.result(timeout=5)


def test_without_any_hint_the_look_tells(
    changes: Changes, threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_poll, "POLL_SECONDS", 0.02)
    store = MemoryStore()
    taken = running(store)
    waiting = threads.submit(
        LongPoll(store, limit=1, changes=changes).wait, taken.job.id, seconds=FAR_AWAY_SECONDS, seen=ETags()
    )
    store.finish(taken, SUCCEEDED)
    waiting.result(timeout=5)


def test_a_store_that_changes_all_the_time_is_looked_at_so_often_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_poll, "SHARE_SECONDS", 0.1)
    looks = itertools.count()
    waiting = LongPoll(MemoryStore(), limit=1, changes=Changes(time.monotonic_ns))
    waiting.wait_until(lambda: next(looks) < 0, seconds=0.5)
    assert next(looks) <= 7


def test_the_number_of_a_file_changes_with_what_others_commit_and_only_then(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    count = find_change_counter(url)
    assert count is not None
    assert count() != count()  # there is no file, which whoever looks finds out
    store = SqlStore(url)
    schema.upgrade(store)
    before = count()
    store.get_version(submit(store))
    first = count()
    assert (before == first, count() == first) == (False, True)
    claimed(store)
    assert count() != first
    store.close()


def test_postgresql_has_no_such_number() -> None:
    assert find_change_counter("postgresql://retrain@127.0.0.1/retrain") is None
