"""The guard between a training and MLflow: what trainings do goes through, streamed, with the service's password."""

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import requests
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from mypackage.protocol import ATTEMPT_TAG, JOB_TAG
from tests.support.servers.mlflow_guard import RunningGuard, running_guard, token_of
from tests.support.waiting import wait_until

FILE = "/api/2.0/mlflow-artifacts/artifacts/1/2f/artifacts/weights.bin"
# What the guard itself asks before an upload, and the answer.
API = "/behind/api/2.0/mlflow"
VERSIONS = f"{API}/model-versions/search?filter=run_id%3D%272f%27&max_results=200"
QUESTIONS = (f"{API}/runs/get?run_id=2f", VERSIONS, VERSIONS.replace("%3D%272f%27", "%3D'2f'"))
RUN = {"info": {"run_id": "2f", "artifact_uri": "mlflow-artifacts:/1/2f/artifacts"}, "data": {}}
MEBIBYTE = 1024**2
TOKEN = {"Authorization": f"Bearer {token_of('2f')}"}


@dataclass
class Upstream:
    """Somebody else's MLflow: keeps the heads of requests, and how many bytes of each came."""

    heads: list[dict[str, str]] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    broken_off: int = 0
    url: str = ""


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    kept = Upstream()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path in QUESTIONS:
                self._answer(json.dumps({"run": RUN}).encode())
            else:
                self.do_PUT()

        def do_PUT(self) -> None:
            kept.heads.append({"path": self.path, **{name.lower(): value for name, value in self.headers.items()}})
            rest = int(self.headers.get("Content-Length", 0))
            while rest and (chunk := self.rfile.read(min(rest, MEBIBYTE))):
                rest -= len(chunk)
            kept.broken_off += bool(rest)
            kept.sizes.append(int(self.headers.get("Content-Length", 0)) - rest)
            with suppress(OSError):
                self._answer(b"{}")

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT  # noqa: N815 - its name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def guard(upstream: Upstream) -> Iterator[RunningGuard]:
    credentials = {"MLFLOW_TRACKING_USERNAME": "service", "MLFLOW_TRACKING_PASSWORD": "hunter2"}
    with running_guard(f"{upstream.url}/behind", **credentials) as running:
        yield running


@pytest.fixture
def job_run(mlflow_url: str) -> str:
    """The run that the service made for the attempt."""
    run = MlflowClient(mlflow_url).create_run("0", tags={JOB_TAG: "a", ATTEMPT_TAG: "1"})
    return str(run.info.run_id)


def test_what_a_training_does_with_mlflow_goes_through(
    mlflow_url: str, job_run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", token_of(job_run))
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "ü 100%.txt").write_text("hello")
    with running_guard(mlflow_url) as running:
        client = MlflowClient(running.url)
        experiment = client.create_experiment("guarded", artifact_location="mlflow-artifacts:/guarded")
        run = client.create_run(experiment)
        client.log_batch(
            run.info.run_id, [Metric("loss", 0.1, 1, 1)], [Param("artifact_location", "/x")], [RunTag("a", "b")]
        )
        client.log_artifacts(run.info.run_id, str(tmp_path))
        read = Path(client.download_artifacts(run.info.run_id, "a b/ü 100%.txt", str(tmp_path))).read_text()
        model = client.create_logged_model(experiment, "m", run.info.run_id)
        client.log_model_params(model.model_id, {"p": "1"})
        client.set_logged_model_tags(model.model_id, {"t": "1"})
        client.finalize_logged_model(model.model_id, "READY")
        client.create_registered_model("guarded")
        version = client.create_model_version(
            "guarded", f"models:/{model.model_id}", run.info.run_id, model_id=model.model_id
        )
        client.set_model_version_tag("guarded", version.version, "t", "1")
        client.delete_model_version_tag("guarded", version.version, "t")
        client.update_model_version("guarded", version.version, "described")
        client.set_terminated(run.info.run_id)
        with pytest.raises(MlflowException, match=r"The guard before MLflow refused POST .*/runs/delete") as refused:
            client.delete_run(run.info.run_id)
    assert refused.value.error_code == "PERMISSION_DENIED"
    assert read == "hello"
    straight = MlflowClient(mlflow_url)
    assert straight.get_run(run.info.run_id).data.metrics == {"loss": 0.1}
    assert straight.get_run(run.info.run_id).data.tags[JOB_TAG] == "a"
    assert ATTEMPT_TAG not in straight.get_run(run.info.run_id).data.tags
    assert straight.get_model_version("guarded", version.version).tags == {JOB_TAG: "a"}
    assert straight.get_logged_model(model.model_id).tags["t"] == "1"


def test_the_service_s_password_goes_to_mlflow_and_nothing_that_a_training_says_of_itself(
    guard: RunningGuard, upstream: Upstream
) -> None:
    said = {
        "Authorization": f"Bearer {token_of('2f')}",
        "X-Forwarded-For": "127.0.0.1",
        "X-HTTP-Method-Override": "DELETE",
        "Cookie": "a",
    }
    more = {"Forwarded": "for=127.0.0.1", "X-Mlflow-Workspace": "other", "User-Agent": "training"}
    path = "/api/2.0/mlflow/runs/get?run_id=2f%20x"
    assert requests.get(f"{guard.url}{path}", headers={**said, **more}, timeout=10).text == "{}"
    (head,) = upstream.heads
    assert head.pop("path") == f"/behind{path}"
    assert head.pop("authorization") == f"Basic {base64.b64encode(b'service:hunter2').decode()}"
    assert head.pop("host") == urlsplit(upstream.url).netloc
    assert set(head) <= {"user-agent", "accept", "accept-encoding"}


def test_a_large_file_is_streamed_and_never_held(guard: RunningGuard, upstream: Upstream, tmp_path: Path) -> None:
    process = psutil.Process(guard.pid)
    requests.get(f"{guard.url}/health", timeout=10)
    before = process.memory_info().rss
    large = tmp_path / "weights.bin"
    with large.open("wb") as file:
        file.truncate(200 * MEBIBYTE)
    with large.open("rb") as file:
        assert requests.put(f"{guard.url}{FILE}", data=file, headers=TOKEN, timeout=60).ok
    assert upstream.sizes[-1] == 200 * MEBIBYTE
    assert process.memory_info().rss - before < 50 * MEBIBYTE


def test_an_upload_that_breaks_off_does_not_arrive_as_a_whole(guard: RunningGuard, upstream: Upstream) -> None:
    address = urlsplit(guard.url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        head = f"PUT {FILE} HTTP/1.1\r\nHost: guard\r\nAuthorization: {TOKEN['Authorization']}\r\n"
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\nhalf".encode())
        wait_until(lambda: bool(upstream.heads), what="the head upstream")
    wait_until(lambda: bool(upstream.sizes), what="the end upstream")
    assert upstream.broken_off == 1


def test_while_mlflow_is_away_clients_are_told_to_try_again() -> None:
    with running_guard("http://127.0.0.1:1") as running:
        answer = requests.get(f"{running.url}/health", timeout=10)
    assert (answer.status_code, answer.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
