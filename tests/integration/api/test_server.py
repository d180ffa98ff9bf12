"""The API as a real process: waitress, SQLite and Valkey."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests
from requests import Response

from shared.alerts.model import AlertEvent
from shared.sql import SqlStore, schema
from tests.support.network.ports import free_port
from tests.support.servers.api_server import ApiServer, running_api
from tests.support.servers.valkey import Valkey, running_valkey
from tests.support.waiting import wait_until

BODY = {"experiment_name": "iris", "git_uri": "https://github.com/user/iris.git"}
TIMEOUT_SECONDS = 30


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with running_valkey() as server:
        yield server


@pytest.fixture
def api(valkey: Valkey, tmp_path: Path) -> Iterator[ApiServer]:
    with running_api(tmp_path, REDIS_URL=valkey.url) as server:
        yield server


@pytest.fixture
def api_without_redis(tmp_path: Path) -> Iterator[ApiServer]:
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as server:
        yield server


def post(api: ApiServer, json: Any = BODY, **given: Any) -> Response:
    return requests.post(f"{api.url}/retrain", json=json, timeout=TIMEOUT_SECONDS, **given)


def get(api: ApiServer, path: str, **given: Any) -> Response:
    return requests.get(f"{api.url}{path}", timeout=TIMEOUT_SECONDS, **given)


def test_ten_requests_at_once_are_all_accepted_within_a_second(api: ApiServer, valkey: Valkey) -> None:
    with ThreadPoolExecutor(10) as threads:
        began = time.monotonic()
        answers = list(threads.map(lambda _: post(api), range(10)))
        seconds = time.monotonic() - began
    assert [answer.status_code for answer in answers] == [202] * 10, api.log
    assert seconds < 1
    listed = get(api, "/jobs").json()["jobs"]
    assert {job["id"] for job in listed} == {answer.json()["id"] for answer in answers}
    wait_until(lambda: all(job["id"].encode() in _waiting(valkey) for job in listed), what="the messages")


def _waiting(valkey: Valkey) -> bytes:
    with valkey.client() as client:
        return b"".join(message for key in client.keys("default*") for message in client.lrange(key, 0, -1))


def test_ready_writes_to_the_store_and_to_redis(api: ApiServer, valkey: Valkey) -> None:
    ready = get(api, "/readyz")
    assert {"status": "ready", "store": "ok", "redis": "ok", "live_workers": 0}.items() <= ready.json().items()
    valkey.stop()
    gone = get(api, "/readyz")
    assert (gone.status_code, gone.json()["redis"], gone.json()["store"]) == (503, "unavailable", "ok")
    valkey.start()
    assert get(api, "/readyz").status_code == 200


def test_without_redis_a_job_is_accepted_all_the_same(api_without_redis: ApiServer) -> None:
    began = time.monotonic()
    assert post(api_without_redis).status_code == 202
    assert time.monotonic() - began < 10
    wait_until(lambda: "the sweep will send it" in api_without_redis.log, what="the line about it")


def test_a_redis_that_hangs_keeps_no_client_waiting_and_gets_the_message_later(api: ApiServer, valkey: Valkey) -> None:
    assert post(api).status_code == 202
    os.kill(valkey.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        job_id = post(api).json()["id"]
        assert time.monotonic() - began < 1
    finally:
        os.kill(valkey.pid, signal.SIGCONT)
    wait_until(lambda: job_id.encode() in _waiting(valkey), what="the message")


def test_what_waits_to_be_sent_is_sent_before_the_end(api: ApiServer, valkey: Valkey) -> None:
    assert post(api).status_code == 202
    os.kill(valkey.pid, signal.SIGSTOP)
    job_id = post(api).json()["id"]
    assert api.process is not None
    api.process.terminate()
    wait_until(lambda: not _serves(api), what="the end of its answers, while it waits for Redis")
    os.kill(valkey.pid, signal.SIGCONT)
    assert api.process.wait(20) == 0
    assert job_id.encode() in _waiting(valkey)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_that_waits_does_not_keep_the_server_from_stopping(tmp_path: Path, number: signal.Signals) -> None:
    redis = f"redis://127.0.0.1:{free_port()}/0"
    with running_api(tmp_path, REDIS_URL=redis, API_THREADS="4") as api, ThreadPoolExecutor(3) as threads:
        job, process = f"/jobs/{post(api).json()['id']}", api.process
        assert process is not None
        asked = [threads.submit(get, api, f"{job}?wait=60") for _ in range(3)]
        # Of four threads, two may wait: that the third request is answered says that the others do.
        wait_until(lambda: [each.done() for each in asked].count(True) == 1, what="two that wait")
        process.send_signal(number)
        assert [each.result(timeout=5).json()["state"] for each in asked] == ["queued"] * 3
        assert process.wait(8) == 0


HEAD = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HALF_A_BODY = (
    b"POST /retrain HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
)


def _answers_soon(api: ApiServer, *, timeout_seconds: float) -> bool:
    try:
        return requests.get(f"{api.url}/healthz", timeout=timeout_seconds).ok
    except requests.RequestException:
        return False


@pytest.mark.parametrize("sent", [b"", b"GET /heal", HALF_A_BODY], ids=["nothing", "half a head", "half a body"])
def test_clients_that_send_half_a_request_do_not_stop_the_server(tmp_path: Path, sent: bytes) -> None:
    redis = f"redis://127.0.0.1:{free_port()}/0"
    with running_api(tmp_path, REDIS_URL=redis, API_THREADS="4") as api, ExitStack() as opened:
        for _ in range(12):
            client = opened.enter_context(socket.create_connection(("127.0.0.1", api.port), timeout=5))
            client.sendall(sent)
        wait_until(lambda: _answers_soon(api, timeout_seconds=20), what="an answer", timeout_seconds=20)
        assert "Traceback" not in api.log


def test_a_byte_now_and_then_does_not_keep_a_request_open(api_without_redis: ApiServer) -> None:
    with socket.create_connection(("127.0.0.1", api_without_redis.port), timeout=1) as client:
        client.sendall(HEAD)
        wait_until(lambda: _is_dropped_when_sent_a_byte(client), what="the end of the request", timeout_seconds=20)


def _is_dropped_when_sent_a_byte(client: socket.socket) -> bool:
    try:
        client.sendall(b"x")
        return client.recv(100) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


def test_clients_that_do_not_hang_up_after_their_answer_hold_up_nobody(api_without_redis: ApiServer) -> None:
    with ExitStack() as opened:
        for _ in range(8):
            client = opened.enter_context(socket.create_connection(("127.0.0.1", api_without_redis.port), timeout=5))
            client.sendall(HEAD + b"\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert get(api_without_redis, "/healthz").ok
        assert time.monotonic() - began < 1.5


def test_a_client_that_sends_nothing_does_not_keep_the_server_from_stopping(api_without_redis: ApiServer) -> None:
    assert api_without_redis.process is not None
    with socket.create_connection(("127.0.0.1", api_without_redis.port), timeout=5):
        assert get(api_without_redis, "/healthz").ok
        api_without_redis.process.send_signal(signal.SIGTERM)
        assert api_without_redis.process.wait(4) == 0


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_on_a_real_connection(api_without_redis: ApiServer, chunked: bool) -> None:
    body = b'{"a": "' + b"x" * 1_500_000 + b'"}'
    data = (body[at : at + 65536] for at in range(0, len(body), 65536)) if chunked else body
    answer = post(api_without_redis, json=None, data=data, headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.json()["code"] == "BODY_TOO_LARGE"


def test_a_hook_of_25_mb_is_refused_after_its_head(api_without_redis: ApiServer) -> None:
    head = (
        b"POST /hooks/github HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 25000000"
    )
    with socket.create_connection(("127.0.0.1", api_without_redis.port), timeout=5) as client:
        client.sendall(head + b"\r\nX-Hub-Signature-256: sha256=" + b"0" * 64 + b"\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413")


def test_what_was_answered_with_202_is_there_after_a_kill(api_without_redis: ApiServer) -> None:
    job_id = post(api_without_redis, headers={"Idempotency-Key": "k"}).json()["id"]
    assert api_without_redis.process is not None
    api_without_redis.process.kill()
    api_without_redis.process.wait(10)
    wait_until(lambda: not _serves(api_without_redis), what="the end of the orphaned worker")
    api_without_redis.launch()
    wait_until(api_without_redis.answers)
    again = post(api_without_redis, headers={"Idempotency-Key": "k"})
    assert (again.json()["id"], again.headers["Idempotency-Replayed"]) == (job_id, "true")


def _serves(api: ApiServer) -> bool:
    try:
        return get(api, "/healthz").ok
    except requests.ConnectionError:
        return False


def test_tokens_are_asked_for_and_never_printed(tmp_path: Path) -> None:
    with running_api(tmp_path, API_TOKENS="tok-s3cret", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0") as api:
        assert get(api, "/jobs").status_code == 401
        assert get(api, "/jobs", headers={"Authorization": "Bearer tok-s3cret"}).status_code == 200
        assert "s3cret" not in api.log
        assert "this machine only" not in api.log


def test_without_tokens_the_start_says_that_only_this_machine_is_served(api_without_redis: ApiServer) -> None:
    assert "no API_TOKENS: serving this machine only" in api_without_redis.log
    rebound = get(api_without_redis, "/jobs", headers={"Host": "rebound.example.org"})
    assert (rebound.status_code, rebound.json()["code"]) == (403, "LOOPBACK_ONLY")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "Run: python -m shared.sql.schema"),
        ({"API_THREADS": "many"}, "API_THREADS"),
        ({"DATABASE_URL": "mysql://host/db"}, "DATABASE_URL"),
    ],
)
def test_what_is_wrong_keeps_it_from_starting_and_is_said(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    server = ApiServer(tmp_path, variables)
    assert server.launch().wait(TIMEOUT_SECONDS) == 1
    assert said in server.log
    assert "Traceback" not in server.log


def test_it_does_not_start_for_other_machines_while_nobody_could_be_let_in(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'jobs.db'}")
    schema.upgrade(store)
    store.close()
    server = ApiServer(tmp_path, {"API_HOST": "0.0.0.0"})
    assert server.launch().wait(TIMEOUT_SECONDS) == 1
    assert "API_TOKENS is empty" in server.log


def test_nothing_is_left_in_the_home_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with running_api(tmp_path, HOME=str(home), REDIS_URL=f"redis://127.0.0.1:{free_port()}/0"):
        assert not list(home.iterdir())


def test_what_the_api_itself_ends_is_recorded_for_the_webhook(tmp_path: Path) -> None:
    webhook = "https://discord.example/api/webhooks/1/hunter2"
    with running_api(tmp_path, REDIS_URL=f"redis://127.0.0.1:{free_port()}/0", webhook_url=webhook) as api:
        job = post(api).json()
        requests.post(f"{api.url}/jobs/{job['id']}/cancel", timeout=TIMEOUT_SECONDS).raise_for_status()
    store = SqlStore(f"sqlite:///{tmp_path / 'jobs.db'}")
    alert = store.take_alert({"discord"}, lease_seconds=60)
    store.close()
    assert alert is not None
    assert (alert.job_id, alert.event) == (job["id"], AlertEvent.CANCELLED)
    assert "hunter2" not in api.log
