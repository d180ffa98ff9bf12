"""Followers of a log, on the API as a real process."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from shared.jobs.model import JobState
from shared.jobs.records import Claim, Ending
from shared.sql import SqlStore
from tests.support.event_stream import follow_log
from tests.support.jobs import running
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api
from tests.support.waiting import wait_until

TIMEOUT_SECONDS = 30
FOLLOWERS = 50


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    """Few threads for requests, and room for the followers."""
    redis = f"redis://127.0.0.1:{free_port()}/0"
    with running_api(tmp_path, REDIS_URL=redis, API_THREADS="4", API_FOLLOWERS=str(FOLLOWERS)) as server:
        yield server


@pytest.fixture
def store(api: ApiServer) -> Iterator[SqlStore]:
    store = SqlStore(f"sqlite:///{api.folder / 'jobs.db'}")
    yield store
    store.close()


@pytest.fixture
def claim(store: SqlStore) -> Claim:
    """A job that trains."""
    return running(store)


def log_url(api: ApiServer, claim: Claim) -> str:
    return f"{api.url}/jobs/{claim.job.id}/logs"


def follow(api: ApiServer, claim: Claim) -> str:
    return follow_log(log_url(api, claim), seconds=TIMEOUT_SECONDS)


def test_followers_go_on_through_kills_of_the_api_without_gap_or_repeat(
    api: ApiServer, store: SqlStore, claim: Claim
) -> None:
    lines = [f"{number}\n" for number in range(1, 3001)]
    with ThreadPoolExecutor(3) as threads:
        texts = [threads.submit(follow, api, claim) for _ in range(3)]
        for begin in range(0, len(lines), 50):
            store.append_log(claim, "".join(lines[begin : begin + 50]).encode(), source_offset=0)
            if begin % 1000 == 500:
                kill_and_restart(api, gently=begin == 1500)
        store.finish(claim, Ending(JobState.SUCCEEDED))
        assert [each.result(timeout=TIMEOUT_SECONDS) for each in texts] == ["".join(lines)] * 3


def kill_and_restart(api: ApiServer, *, gently: bool) -> None:
    assert api.process is not None
    if gently:
        api.process.terminate()
        assert api.process.wait(8) == 0
    else:
        api.process.kill()
        api.process.wait(5)
    api.launch()
    wait_until(api.answers, what="the API's answer")


def test_many_followers_leave_room_for_all_other_requests(api: ApiServer, store: SqlStore, claim: Claim) -> None:
    with ThreadPoolExecutor(FOLLOWERS) as threads:
        texts = [threads.submit(follow, api, claim) for _ in range(FOLLOWERS)]
        wait_until(lambda: probe(log_url(api, claim)) == 503)
        assert requests.get(f"{api.url}/jobs/{claim.job.id}", timeout=5).json()["state"] == "running"
        store.append_log(claim, b"all see it\n", source_offset=0)
        store.finish(claim, Ending(JobState.SUCCEEDED))
        assert {each.result(timeout=TIMEOUT_SECONDS) for each in texts} == {"all see it\n"}
        assert requests.get(f"{log_url(api, claim)}?follow=1", timeout=5).text == "all see it\n"


def test_one_address_cannot_follow_so_many_logs_that_others_find_no_room(tmp_path: Path) -> None:
    redis = f"redis://127.0.0.1:{free_port()}/0"
    with running_api(tmp_path, REDIS_URL=redis, API_FOLLOWERS="2", API_FOLLOWERS_PER_PEER="1") as api:
        store = SqlStore(f"sqlite:///{tmp_path / 'jobs.db'}")
        url = log_url(api, running(store))
        store.close()
        with requests.get(f"{url}?follow=1", stream=True, timeout=TIMEOUT_SECONDS) as follower:
            assert follower.status_code == 200
            refused = requests.get(f"{url}?follow=1", timeout=TIMEOUT_SECONDS)
            assert (refused.status_code, refused.json()["code"]) == (503, "TOO_MANY_FOLLOWERS")
            assert "API_FOLLOWERS_PER_PEER" in refused.json()["detail"]
            assert refused.headers["Retry-After"] == "5"
            assert from_another_address(url) == 200


def from_another_address(url: str) -> int:
    """The status that a follower at 127.0.0.2 gets, who leaves at once."""
    with requests.Session() as session:
        session.mount("http://", SourceAddressAdapter(("127.0.0.2", 0)))
        with session.get(f"{url}?follow=1", stream=True, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status_code


class SourceAddressAdapter(HTTPAdapter):
    """Connects from an address of this machine."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        super().__init__()

    def init_poolmanager(self, *args: Any, **given: Any) -> None:
        """Make the pools, whose connections begin at the address."""
        super().init_poolmanager(*args, source_address=self._address, **given)


def probe(url: str, accept: str = "text/plain") -> int:
    """The status of the answer to a follower who leaves at once."""
    with requests.get(f"{url}?follow=1", headers={"Accept": accept}, stream=True, timeout=TIMEOUT_SECONDS) as answer:
        return answer.status_code


@pytest.mark.parametrize("accept", ["text/plain", "text/event-stream"])
def test_a_follower_who_hangs_up_makes_room_at_once(tmp_path: Path, accept: str) -> None:
    redis = f"redis://127.0.0.1:{free_port()}/0"
    with running_api(tmp_path, REDIS_URL=redis, API_FOLLOWERS="1") as api:
        store = SqlStore(f"sqlite:///{tmp_path / 'jobs.db'}")
        url = log_url(api, running(store))
        store.close()
        assert probe(url, accept) == 200
        wait_until(lambda: probe(url, accept) == 200, timeout_seconds=15, what="room for the next one")
