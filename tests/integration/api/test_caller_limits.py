"""Limits on callers, at a real server: what one takes is not missing for the others. No time is judged here."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from tests.support.network.hostile_clients import drip, slow_connections
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api

HASTY, *HONEST = (f"token-number-{number}-of-many" for number in range(6))
SLOW = 200


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    given = {
        "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0",
        "API_TOKENS": ",".join((HASTY, *HONEST, "short")),
        "API_CONNECTIONS_PER_PEER": "400",
        "CALLER_REQUESTS_PER_SECOND": "20",
        "CALLER_BURST_SECONDS": "2",
    }
    with running_api(Path(tmp_path_factory.mktemp("limits")), **given) as server:
        yield server


def ask(api: ApiServer, token: str, times: int) -> list[requests.Response]:
    with requests.Session() as session:
        headers = {"Authorization": f"Bearer {token}"}
        return [session.get(f"{api.url}/jobs", headers=headers, timeout=60) for _ in range(times)]


def test_five_honest_clients_are_answered_beside_a_hasty_one_and_two_hundred_slow_ones(api: ApiServer) -> None:
    with slow_connections(api.port, SLOW) as sockets, ThreadPoolExecutor(6) as pool:
        hasty = pool.submit(ask, api, HASTY, 300)
        honest = [pool.submit(ask, api, token, 20) for token in HONEST]
        answers = [answer for each in honest for answer in each.result()]
        assert drip(sockets) > 0
        refused = [each for each in hasty.result() if each.status_code == 429]
    assert Counter(each.status_code for each in answers) == {200: 100}
    assert len(refused) > 100
    assert all(int(each.headers["Retry-After"]) >= 1 and "RateLimit" in each.headers for each in refused)


def test_whoever_guesses_tokens_shuts_out_nobody_who_was_let_in(api: ApiServer) -> None:
    assert ask(api, "short", 1)[0].status_code == 200
    guesses = Counter(ask(api, f"guess-{number}", 1)[0].status_code for number in range(30))
    assert set(guesses) == {401, 429}
    assert ask(api, "short", 1)[0].status_code == 200
    assert "guess-" not in api.log
