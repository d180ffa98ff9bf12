"""Our own MLflow server serves people and trainings in one process, and keeps the two sides apart."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from mlflow.tracking import MlflowClient

from deploy.mlflow_guard.beside import MOST_CONNECTIONS
from mypackage.protocol import ATTEMPT_TAG, JOB_TAG
from tests.integration.deploy.hostile_calls import API, FILES
from tests.support.servers.mlflow_guard import token_of
from tests.support.servers.own_mlflow import OwnMlflow, running_own_mlflow
from tests.support.waiting import wait_until

SEARCH = f"{API}/experiments/search?max_results=10"
RETRIED_SECONDS = 10  # the supervisor of make up, and Docker, wait about as long before they kill


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnMlflow]:
    folder = tmp_path_factory.mktemp("own")
    (folder / "key").write_text("c2VjcmV0")  # as Compose gives it; MLflow finds it in the environment
    with running_own_mlflow(folder, AZURE_STORAGE_ACCESS_KEY_FILE=str(folder / "key")) as server:
        yield server


def test_people_need_no_token_and_trainings_one_at_their_own_port(own: OwnMlflow) -> None:
    assert requests.get(f"{own.url}{SEARCH}", timeout=10).status_code == 200
    assert requests.get(f"{own.guard.url}{SEARCH}", timeout=10).status_code == 401
    said = {"Authorization": f"Bearer {token_of('2f')}"}
    assert requests.get(f"{own.guard.url}{SEARCH}", headers=said, timeout=10).status_code == 200
    assert len(psutil.Process(own.guard.pid).children()) == 0  # it is one process


@pytest.mark.parametrize(
    "said", [{"Host": "people.example"}, {"X-Forwarded-For": "127.0.0.1"}, {"Forwarded": "for=127.0.0.1"}]
)
def test_nothing_that_a_training_says_of_its_way_makes_it_one_of_the_people(
    own: OwnMlflow, said: dict[str, str]
) -> None:
    port = urlsplit(own.url).port
    for more in (said, {"Host": f"localhost:{port}", **said}):
        assert requests.get(f"{own.guard.url}{SEARCH}", headers=more, timeout=10).status_code == 401


def test_a_training_that_holds_all_its_connections_keeps_nobody_from_people_s_port(own: OwnMlflow) -> None:
    address = urlsplit(own.guard.url)
    with ExitStack() as at_end:
        for _ in range(MOST_CONNECTIONS):
            at_end.enter_context(socket.create_connection((address.hostname, address.port), timeout=10))
        late = at_end.enter_context(socket.create_connection((address.hostname, address.port), timeout=10))
        assert _is_closed(late)
        assert requests.get(f"{own.url}{SEARCH}", timeout=10).status_code == 200
    wait_until(lambda: _status(own.guard.url) == 401, what="trainings' port after that")


def _is_closed(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def _status(url: str) -> int:
    try:
        return requests.get(f"{url}{SEARCH}", timeout=10).status_code
    except requests.ConnectionError:
        return 0


def test_it_stops_in_time_while_a_training_uploads_and_keeps_no_half_of_the_file(tmp_path: Path) -> None:
    with running_own_mlflow(tmp_path) as server:
        run = MlflowClient(server.url).create_run("0", tags={JOB_TAG: "a", ATTEMPT_TAG: "1"}).info
        address = urlsplit(server.guard.url)
        with socket.create_connection((address.hostname, address.port), timeout=10) as upload:
            place = f"{FILES}/{run.experiment_id}/{run.run_id}/artifacts/half.bin"
            head = f"PUT {place} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token_of(run.run_id)}\r\n"
            upload.sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 500_000)
            time.sleep(0.5)
            begins = time.monotonic()
            process = psutil.Process(server.guard.pid)
            process.send_signal(signal.SIGTERM)
            process.wait(RETRIED_SECONDS)
        assert time.monotonic() - begins < RETRIED_SECONDS
    assert [file for file in tmp_path.rglob("half.bin*") if file.is_file()] == []


def test_where_mlflow_is_somebody_else_s_trainings_are_led_there(tmp_path: Path) -> None:
    away = {"MLFLOW_TRACKING_URI": "http://mlflow.invalid:5007", "MLFLOW_SERVER_HOST": "127.0.0.9"}
    with running_own_mlflow(tmp_path, "http://127.0.0.9:5007", **away) as server:
        said = {"Authorization": f"Bearer {token_of('2f')}"}
        answer = requests.get(f"{server.guard.url}{SEARCH}", headers=said, timeout=30)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")


def test_a_host_that_is_not_its_own_is_refused(own: OwnMlflow) -> None:
    answer = requests.get(f"{own.url}{SEARCH}", headers={"Host": "elsewhere.example"}, timeout=10)
    assert (answer.status_code, "Invalid Host" in answer.text) == (403, True)
