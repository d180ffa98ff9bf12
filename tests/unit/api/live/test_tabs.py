"""What open pages are told: what has changed, to each in its time, with one look at the store for all of them."""

from collections.abc import Iterator

import pytest

from api.http.errors import TooManyTabs
from api.live import tabs as module
from api.live.signs import LOOK_SECONDS, Signs, Watched
from api.live.tabs import BEGIN, Tabs
from shared.jobs.model import JobState
from shared.jobs.records import Ending
from shared.jobs.signs import Topic
from tests.fakes.store import MemoryStore
from tests.support.jobs import a_host, ended, running, submit

JOBS = Watched("jobs")


class CountingStore(MemoryStore):
    """Counts who looks."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0

    def get_sign(self, topic: Topic, *, team: str | None = None) -> str:
        self.looks += 1
        return super().get_sign(topic, team=team)


class Clock:
    """A clock that stands until it is moved on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def never() -> bool:
    return False


def watch(tabs: Tabs, *watched: Watched) -> Iterator[bytes]:
    events = tabs.open(watched, caller="ann", is_shut_out=never).events()
    assert next(events) == BEGIN
    return events


def test_a_page_is_told_of_what_it_shows_and_of_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.02)
    store = MemoryStore()
    events = watch(Tabs(store, limit=9), JOBS, Watched("models"))
    assert next(events) == b""
    submit(store)
    assert next(each for each in events if each) == b"data: jobs\n\n"


def test_of_many_pages_one_looks_for_all() -> None:
    store = CountingStore()
    tabs = Tabs(store, limit=1000)
    opened = [watch(tabs, JOBS) for _ in range(50)]
    assert [next(each) for each in opened[:1]] == [b""]
    assert store.looks <= 3


def test_a_store_that_is_slow_is_looked_at_less_often() -> None:
    clock = Clock()

    class SlowStore(CountingStore):
        def get_sign(self, topic: Topic, *, team: str | None = None) -> str:
            clock.now += 1
            return super().get_sign(topic, team=team)

    store = SlowStore()
    signs = Signs(store, clock)
    for _ in range(15):
        signs.of(JOBS)
        clock.now += 1
    assert store.looks == 1


def test_while_the_store_is_away_nothing_seems_to_change() -> None:
    clock, store = Clock(), MemoryStore()
    signs = Signs(store, clock)
    before = signs.of(JOBS)
    submit(store)
    store.down = True
    clock.now += LOOK_SECONDS
    assert signs.of(JOBS) == before
    store.down = False
    clock.now += LOOK_SECONDS
    assert signs.of(JOBS) != before


def changes_of(store: MemoryStore, job_id: str) -> tuple[Signs, Clock, Watched]:
    clock = Clock()
    return Signs(store, clock), clock, Watched(f"job:{job_id}")


def test_a_job_that_waits_is_told_of_others_too_and_one_that_has_ended_of_nothing() -> None:
    store = MemoryStore()
    for job_id, is_told in ((submit(store), True), (ended(store), False)):
        signs, clock, job = changes_of(store, job_id)
        before = signs.of(job)
        submit(store)
        clock.now += LOOK_SECONDS
        assert (signs.of(job) != before) == is_told


def test_a_running_job_is_looked_at_every_few_seconds_and_a_deleted_one_once_more() -> None:
    store = MemoryStore()
    claim = running(store)
    signs, clock, job = changes_of(store, claim.job.id)
    before = signs.of(job)
    clock.now += 6
    assert signs.of(job) != before
    store.finish(claim, Ending(JobState.SUCCEEDED))
    store.delete_ended(older_than_seconds=0, limit=9)
    clock.now += LOOK_SECONDS
    assert signs.of(job) == "deleted"
    clock.now += 6
    assert signs.of(job) == "deleted"


def test_what_has_no_sign_of_its_own_may_have_changed_every_few_seconds() -> None:
    store, clock = MemoryStore(), Clock()
    signs = Signs(store, clock)
    store.beat(a_host(), gap_seconds=60)
    before = signs.of(Watched("workers"))
    assert signs.of(Watched("workers")) == before
    clock.now += 6
    assert signs.of(Watched("workers")) != before


def test_one_person_s_pages_keep_nobody_out_and_closed_ones_make_room() -> None:
    tabs = Tabs(MemoryStore(), limit=4)
    mine = [tabs.open([JOBS], caller="ann", is_shut_out=never) for _ in range(2)]
    with pytest.raises(TooManyTabs, match="API_TABS"):
        tabs.open([JOBS], caller="ann", is_shut_out=never)
    for _ in range(2):
        tabs.open([JOBS], caller="bob", is_shut_out=never)
    with pytest.raises(TooManyTabs):
        tabs.open([JOBS], caller="eve", is_shut_out=never)
    mine[0].close()
    tabs.open([JOBS], caller="eve", is_shut_out=never)


def test_all_are_sent_away_when_the_server_stops_and_one_whose_reader_is_shut_out() -> None:
    tabs, out = Tabs(MemoryStore(), limit=4), [False]
    mine = tabs.open([JOBS], caller="ann", is_shut_out=lambda: out[0]).events()
    theirs = watch(tabs, JOBS)
    assert next(mine) == BEGIN
    out[0] = True
    assert list(mine) == []
    tabs.stop()
    assert list(theirs) == []


def test_a_silent_stream_says_now_and_then_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEPALIVE_SECONDS", 0.0)
    assert next(watch(Tabs(MemoryStore(), limit=1), JOBS)) == b"event: still\ndata:\n\n"
