"""Our client of MLflow's REST API on servers that answer badly, and the servers that it leaves to MLflow's own."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from tests.integration.tracking.conftest import closed
from worker.tracking.client import Tracking
from worker.tracking.clients import Client, MlflowsOwn, client_of
from worker.tracking.connection import Access, Refused, Unanswered
from worker.tracking.run_tags import RunRequest

RUN = b'{"run": {"info": {"run_id": "r1", "experiment_id": "1"}}}'
EXPERIMENT = b'{"experiment": {"experiment_id": "7"}}'
Answer = tuple[int, bytes] | None  # None: the connection is closed without one


@dataclass
class Scripted:
    """A server that answers what it is told to; ``seen`` has each request's method, path and headers."""

    url: str = ""
    answers: list[Answer] = field(default_factory=list)
    seen: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    before: Callable[[str, bytes], None] = lambda _path, _body: None


@contextmanager
def serving(script: Scripted) -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            script.seen.append((self.command, self.path, dict(self.headers)))
            script.before(self.path, body)
            answer = script.answers.pop(0)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        do_GET = do_POST = do_PUT = _answer  # noqa: N815 - their names

        def log_message(self, *_args: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield script
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def script() -> Iterator[Scripted]:
    with serving(Scripted()) as script:
        yield script


def client(script: Scripted, **values: Any) -> Client:
    return Client(Access(script.url, backoff_seconds=0, **values))


@pytest.mark.parametrize("first", [(503, b"busy"), (429, b""), (500, b'{"error_code": "INTERNAL_ERROR"}'), None])
def test_what_may_pass_is_asked_again(script: Scripted, first: Answer) -> None:
    script.answers = [first, first, (200, EXPERIMENT)]
    found = client(script).get_experiment_by_name("a b")
    assert found is not None
    assert (found.experiment_id, len(script.seen)) == ("7", 3)
    assert script.seen[0][1] == "/api/2.0/mlflow/experiments/get-by-name?experiment_name=a+b"


def test_it_gives_up_in_the_end(script: Scripted) -> None:
    script.answers = [(503, b"busy")] * 3
    with pytest.raises(Unanswered, match=r"503.*busy"):
        client(script).get_run("r1")


@pytest.mark.parametrize("first", [(503, b"busy"), None])
def test_a_run_is_asked_for_once(script: Scripted, first: Answer) -> None:
    script.answers = [first, (200, RUN)]
    with pytest.raises(Unanswered):
        client(script).create_run("1", {})
    assert len(script.seen) == 1


@pytest.mark.parametrize("body", [b"<html>log in</html>", b"[]", b"{}", b'{"run": {"info": 3}}', b'{"run": null}'])
def test_an_answer_in_another_form_says_what_it_was(script: Scripted, body: bytes) -> None:
    script.answers = [(200, body)] * 3
    with pytest.raises(Unanswered, match="unknown form"):
        client(script).get_run("r1")


def test_a_refusal_is_told_in_mlflows_words_and_not_asked_again(script: Scripted) -> None:
    script.answers = [(400, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "no such thing"}')]
    with pytest.raises(Refused, match=r"^INVALID_PARAMETER_VALUE: no such thing$") as caught:
        client(script).get_run("r1")
    assert not isinstance(caught.value, Unanswered)


@pytest.mark.parametrize(
    ("variables", "header"),
    [
        (
            {"MLFLOW_TRACKING_USERNAME": "ö", "MLFLOW_TRACKING_PASSWORD": "p:w"},
            "Basic " + base64.b64encode("ö:p:w".encode()).decode(),
        ),
        ({"MLFLOW_TRACKING_TOKEN": "t0"}, "Bearer t0"),
        ({"MLFLOW_TRACKING_USERNAME": "only"}, None),
    ],
)
def test_the_login_is_the_operators_whatever_a_netrc_file_says(
    script: Scripted, variables: dict[str, str], header: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login other password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    script.answers = [(200, RUN)]
    Client(Access.of(script.url, variables)).get_run("r1")
    assert script.seen[0][2].get("Authorization") == header


def test_access_is_taken_from_the_variables_of_mlflows_client() -> None:
    variables = {
        "MLFLOW_TRACKING_SERVER_CERT_PATH": "/ca.pem",
        "MLFLOW_TRACKING_CLIENT_CERT_PATH": "/mine.pem",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "7",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0.5",
    }
    assert Access.of("https://host/", variables) == Access("https://host", "", "/ca.pem", "/mine.pem", 7, 0, 0.5)
    assert Access.of("https://host", {"MLFLOW_TRACKING_INSECURE_TLS": "true"}).verify is False
    assert Access.of("https://host", {}).verify is True


@pytest.mark.parametrize("is_carried_out", [True, False])
def test_a_run_whose_answer_is_lost_is_there_once(
    is_carried_out: bool, mlflow_url: str, client: MlflowClient, request_of_test: RunRequest
) -> None:
    experiment_id = client.create_experiment(request_of_test.experiment_name)
    lost: list[str] = []

    class Losing(Client):
        def create_run(self, *args: Any, **values: Any) -> Any:
            made = super().create_run(*args, **values) if lost or is_carried_out else None
            if lost:
                return made
            lost.append("lost")
            raise Unanswered("the answer is lost")

    tracking = Tracking(mlflow_url)
    tracking._client = Losing(Access(mlflow_url))
    run = tracking.ensure_run(request_of_test)
    assert [each.info.run_id for each in client.search_runs([experiment_id])] == [run.run_id]


@pytest.mark.parametrize(
    "variables",
    [{"MLFLOW_TRACKING_AUTH": "kubernetes"}, {"MLFLOW_TRACKING_AWS_SIGV4": "true"}, {"MLFLOW_WORKSPACE": "team"}],
)
def test_other_logins_are_left_to_mlflows_own_client(variables: dict[str, str]) -> None:
    assert isinstance(client_of("http://host", variables), MlflowsOwn)
    assert isinstance(client_of("http://host", {}), Client)


def test_so_is_a_login_in_mlflows_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".mlflow").mkdir()
    (tmp_path / ".mlflow/credentials").write_text("[mlflow]\nmlflow_tracking_username = a\n")
    assert isinstance(client_of("http://host", {}), MlflowsOwn)
    assert isinstance(client_of("http://host", {"MLFLOW_TRACKING_USERNAME": "a"}), Client)


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")
def test_mlflows_own_client_does_the_same_on_a_database(tmp_path: Path, request_of_test: RunRequest) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    MlflowClient(uri).create_experiment(request_of_test.experiment_name, (tmp_path / "artifacts").as_uri())
    tracking = Tracking(uri)
    run = tracking.ensure_run(request_of_test)
    assert tracking.ensure_run(request_of_test) == run
    closed(tracking, run)
    found = MlflowClient(uri).get_run(run.run_id)
    assert (found.info.status, found.data.params) == ("FINISHED", {"alpha": "0.5", "note": "two words"})
    assert (tmp_path / "artifacts" / run.run_id / "artifacts/retrain/attempt-1.log").read_text() == "line\n"
    with pytest.raises(Refused) as caught:
        client_of(uri, {}).get_run("0" * 32)
    assert caught.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_files_of_another_store_than_the_servers_are_kept_there(
    mlflow_url: str, client: MlflowClient, tracking: Tracking, request_of_test: RunRequest, tmp_path: Path
) -> None:
    client.create_experiment(request_of_test.experiment_name, (tmp_path / "elsewhere").as_uri())
    run = tracking.ensure_run(request_of_test)
    closed(tracking, run)
    assert (tmp_path / "elsewhere" / run.run_id / "artifacts/retrain/attempt-1.log").read_text() == "line\n"
