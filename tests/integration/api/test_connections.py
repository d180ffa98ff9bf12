"""The API as a real process, and clients that mean no good: silent, slow, many, or with costly requests."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.support.network.hostile_clients import costly_body, silent_connections
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api
from tests.support.waiting import wait_until

SILENT = 400
TIMEOUT_SECONDS = 30
HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as server:
        yield server


def connected(api: ApiServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", api.port), timeout=TIMEOUT_SECONDS)


def read_all(client: socket.socket) -> bytes:
    parts = []
    while part := client.recv(65536):
        parts.append(part)
    return b"".join(parts)


def problem_of(answer: bytes) -> dict[str, Any]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    problem: dict[str, Any] = json.loads(body)
    assert f"X-Request-Id: {problem['request_id']}".encode() in head
    return problem


def test_an_honest_client_is_answered_beside_400_silent_ones_and_four_costly_requests(api: ApiServer) -> None:
    with silent_connections(api.port, SILENT), ThreadPoolExecutor(4) as threads:
        costly = [threads.submit(post_costly, api) for _ in range(4)]
        answers = [requests.get(f"{api.url}/jobs", timeout=TIMEOUT_SECONDS).status_code for _ in range(100)]
        assert {each.result(timeout=TIMEOUT_SECONDS) for each in costly} <= {413, 422}
    assert set(answers) == {200}
    assert "Traceback" not in api.log


def post_costly(api: ApiServer) -> int:
    answer = requests.post(
        f"{api.url}/retrain", data=costly_body(), headers={"Content-Type": "application/json"}, timeout=TIMEOUT_SECONDS
    )
    return answer.status_code


def test_connections_that_send_nothing_take_no_thread(api: ApiServer) -> None:
    assert api.process is not None
    process = psutil.Process(api.process.pid)
    before = process.num_threads()
    with silent_connections(api.port, 150):
        assert requests.get(f"{api.url}/healthz", timeout=TIMEOUT_SECONDS).ok
        assert process.num_threads() == before


@contextmanager
def few_connections(tmp_path: Path) -> Iterator[ApiServer]:
    redis = f"redis://127.0.0.1:{free_port()}/0"
    with running_api(tmp_path, REDIS_URL=redis, API_CONNECTIONS="10", API_CONNECTIONS_PER_PEER="5") as api:
        yield api


def test_of_too_many_connections_from_one_address_the_longest_silent_is_closed(tmp_path: Path) -> None:
    with few_connections(tmp_path) as api, ExitStack() as opened:
        first, *others = [opened.enter_context(connected(api)) for _ in range(5)]
        assert requests.get(f"{api.url}/healthz", timeout=TIMEOUT_SECONDS).ok
        assert first.recv(1) == b""
        others[-1].sendall(HEAD + b"Connection: close\r\n\r\n")
        assert read_all(others[-1]).startswith(b"HTTP/1.1 200")


def test_who_is_being_answered_is_not_sent_away_for_others(tmp_path: Path) -> None:
    with few_connections(tmp_path) as api, ExitStack() as opened, ThreadPoolExecutor(1) as threads:
        job = requests.post(
            f"{api.url}/retrain", json={"experiment_name": "e", "git_uri": "https://h/p.git"}, timeout=TIMEOUT_SECONDS
        ).json()
        waiting = threads.submit(requests.get, f"{api.url}/jobs/{job['id']}?wait=2", timeout=TIMEOUT_SECONDS)
        wait_until(lambda: _waits(api), what="the request that waits")
        for _ in range(20):
            opened.enter_context(connected(api))
        assert waiting.result(timeout=TIMEOUT_SECONDS).status_code == 200


def _waits(api: ApiServer) -> bool:
    assert api.process is not None
    return any(each.status == psutil.CONN_ESTABLISHED for each in psutil.Process(api.process.pid).net_connections())


def test_connections_of_many_addresses_leave_room_for_one_more(tmp_path: Path) -> None:
    with few_connections(tmp_path) as api, ExitStack() as opened:
        for number in range(2, 14):
            opened.enter_context(
                socket.create_connection(("127.0.0.1", api.port), source_address=(f"127.0.0.{number}", 0), timeout=5)
            )
        assert requests.get(f"{api.url}/healthz", timeout=TIMEOUT_SECONDS).ok


def test_a_connection_answers_one_request_after_another(api: ApiServer) -> None:
    with requests.Session() as session:
        answers = [session.get(f"{api.url}/healthz", timeout=TIMEOUT_SECONDS, stream=True) for _ in range(3)]
        assert [answer.json()["status"] for answer in answers] == ["ok"] * 3
        assert len({answer.raw._original_response is not None for answer in answers}) == 1


def test_head_and_body_of_an_answer_come_in_one_piece(api: ApiServer) -> None:
    with connected(api) as client:
        for _ in range(5):
            client.sendall(HEAD + b"\r\n")
            head, _, body = client.recv(65536).partition(b"\r\n\r\n")
            assert f"Content-Length: {len(body)}".encode() in head
            assert json.loads(body)["status"] == "ok"


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"nonsense\r\n\r\n", 400, "BAD_REQUEST"),
        (HEAD + b"Broken header\r\n\r\n", 400, "BAD_REQUEST"),
        (HEAD + b"X: " + b"x" * 20_000 + b"\r\n\r\n", 431, "HEAD_TOO_LARGE"),
        (HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 501, "NOT_IMPLEMENTED"),
        (HEAD + b"Content-Length: 99999999\r\n\r\n", 413, "BODY_TOO_LARGE"),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400, "BAD_REQUEST"),
    ],
)
def test_what_is_no_request_is_answered_as_a_problem(api: ApiServer, sent: bytes, status: int, code: str) -> None:
    with connected(api) as client:
        client.sendall(sent)
        problem = problem_of(read_all(client))
    assert (problem["status"], problem["code"]) == (status, code)


def test_a_body_is_sent_when_the_server_says_so(api: ApiServer) -> None:
    body = b'{"experiment_name": "e", "git_uri": "https://h/p.git"}'
    head = f"POST /retrain HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    with connected(api) as client:
        client.sendall(f"{head}\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n".encode())
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(body)
        assert read_all(client).startswith(b"HTTP/1.1 202")


def test_who_sends_no_more_is_answered_all_the_same(api: ApiServer) -> None:
    with connected(api) as client:
        client.sendall(HEAD + b"\r\n")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).startswith(b"HTTP/1.1 200")


def test_a_head_has_no_body(api: ApiServer) -> None:
    answer = requests.head(f"{api.url}/healthz", timeout=TIMEOUT_SECONDS)
    assert (answer.status_code, answer.content, int(answer.headers["Content-Length"]) > 0) == (200, b"", True)


def test_a_port_that_is_taken_is_said(api: ApiServer, tmp_path: Path) -> None:
    second = ApiServer(tmp_path, {}, port=api.port)
    assert second.launch().wait(TIMEOUT_SECONDS) == 1
    assert "API_PORT" in second.log
    assert "Traceback" not in second.log
