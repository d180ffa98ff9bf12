"""One project through `mlflow run` and through us: the same parameters, metrics and tags, less MLflow's leaks."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow.projects.utils as mlflow_projects
import pytest
from mlflow.entities import Run as MlflowRun
from mlflow.tracking import MlflowClient

from shared.addresses.git_uri import parse_git_uri
from tests.support.servers.git_server import GitServer
from worker.project.entry_points import assemble, render
from worker.project.loading import load_project
from worker.project.parameter_values import ParameterValue
from worker.source.checkout import Checkout, GitSource, SourceRequest
from worker.tracking.client import Run, Tracking, container_environment
from worker.tracking.run_tags import RunRequest

MLPROJECT = """\
name: parity
entry_points:
  main:
    parameters:
      alpha: {type: float, default: 0.5}
      epochs: {type: int, default: 3}
      lower: {type: bool, default: False}
      name: string
      note: {default: "two words"}
      data: {type: path, default: data.csv}
      source: {type: uri, default: "s3://bucket/key"}
    command: |-
      python train.py --alpha {alpha} --epochs {epochs} --lower {lower} --name {name} --note {note} \\
        --data {data} --source {source}
"""
TRAIN = """\
import json, sys
from pathlib import Path
import mlflow

options = dict(zip(sys.argv[1::2], sys.argv[2::2], strict=True))
with mlflow.start_run():
    for step in range(int(options["--epochs"])):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("bytes", len(Path(options.pop("--data")).read_bytes()))
    mlflow.set_tag("options", json.dumps(options))
"""
GIVEN: Mapping[str, ParameterValue] = {"alpha": 0.25, "name": "it's $(x); `y`", "extra": "a b"}
SEEN = {
    "--alpha": "0.25",
    "--epochs": "3",
    "--lower": "False",
    "--name": "it's $(x); `y`",
    "--note": "two words",
    "--source": "s3://bucket/key",
    "--extra": "a b",
}
# MLflow writes the account of its own process, and "local"; its run's name is a random one, and it describes nothing.
OF_THE_RUNNER = {"mlflow.user", "mlflow.project.backend", "mlflow.runName", "mlflow.note.content"}

TOKEN = "t0ken-in-the-address"


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "host", username="ci", password=TOKEN) as server:
        files = {"project/MLproject": MLPROJECT, "project/train.py": TRAIN, "project/data.csv": "1,2\n"}
        server.create("parity", files)
        yield server


@pytest.fixture
def environment(mlflow_url: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": mlflow_url,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_TERMINAL_PROMPT": "0",
    }


def run_by_mlflow(host: GitServer, environment: dict[str, str], tmp_path: Path) -> MlflowRun:
    (tmp_path / "data.csv").write_text("1,2\n")  # MLflow looks for a path in its own folder, not in the project's
    (tmp_path / "tmp").mkdir()  # it leaves two temporary folders behind
    values = [word for name, value in GIVEN.items() for word in ("-P", f"{name}={value}")]
    uri = f"{host.url('parity', with_credentials=True)}#project"
    done = subprocess.run(
        ["mlflow", "run", uri, "-v", "main", "--env-manager", "local", "--experiment-name", "parity-theirs", *values],
        cwd=tmp_path,
        env=environment | {"TMPDIR": str(tmp_path / "tmp")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return only_run(environment["MLFLOW_TRACKING_URI"], "parity-theirs")


def run_by_us(host: GitServer, environment: dict[str, str], tmp_path: Path) -> MlflowRun:
    url = environment["MLFLOW_TRACKING_URI"]
    checkout = check_out(host, tmp_path)
    entry_point = load_project(checkout.project_folder).entry_point("main")
    rendered = render(entry_point, assemble(entry_point, fields={}, parameters=GIVEN))
    tracking = Tracking(url)
    run = tracking.ensure_run(
        RunRequest(
            job_id="parity",
            attempt=1,
            experiment_name="parity-ours",
            git_uri=host.url("parity"),
            commit_sha=checkout.commit_sha,
            folder="project",
            branch=checkout.branch,
            parameters=rendered.parameters,
        )
    )
    execute(rendered.command, checkout.project_folder, environment | container_environment(run, url))
    tracking.finish_run(run.run_id, "FINISHED")
    return only_run(url, "parity-ours")


def check_out(host: GitServer, tmp_path: Path) -> Checkout:
    source = GitSource(
        tmp_path / "mirrors",
        tmp_path / "work",
        allowed_schemes=frozenset({"http"}),
        allowed_hosts=frozenset({"127.0.0.1"}),
    )
    address = parse_git_uri(host.url("parity", with_credentials=True))
    request = SourceRequest(address.uri, "main", subfolder="project", credentials=address.credentials)
    return source.checkout(request, name="parity-1", timeout_seconds=60)


def execute(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def only_run(url: str, experiment: str) -> MlflowRun:
    client = MlflowClient(url)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    (run,) = client.search_runs([found.experiment_id])
    return run


def test_both_give_the_same_parameters_metrics_and_tags(
    host: GitServer, environment: dict[str, str], tmp_path: Path
) -> None:
    theirs = run_by_mlflow(host, environment, tmp_path)
    ours = run_by_us(host, environment, tmp_path)

    assert ours.info.status == theirs.info.status == "FINISHED"
    assert ours.data.metrics == theirs.data.metrics == {"loss": 1 / 3, "bytes": 4}
    assert json.loads(ours.data.tags["options"]) == json.loads(theirs.data.tags["options"]) == SEEN

    # MLflow logs what it puts into the command, quotes and all; we log the value.
    assert ours.data.params == {name: shlex.split(value)[0] for name, value in theirs.data.params.items()}
    assert ours.data.params["note"] == "two words"
    assert theirs.data.params["note"] == "'two words'"

    leaks = {"mlflow.source.name"}
    same = set(theirs.data.tags) - OF_THE_RUNNER - leaks
    assert {name: ours.data.tags.get(name) for name in same} == {name: theirs.data.tags[name] for name in same}
    assert set(ours.data.tags) - set(theirs.data.tags) - OF_THE_RUNNER == {"retrain.job_id", "retrain.attempt"}
    assert theirs.data.tags["mlflow.source.name"] == f"{host.url('parity', with_credentials=True)}#project"
    assert ours.data.tags["mlflow.source.name"] == f"{host.url('parity')}#project"
    assert TOKEN not in str(ours.data.tags)


def test_a_uri_given_for_a_path_is_downloaded_beside_the_command(
    mlflow_url: str, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "set a.csv").write_text("1,2,3\n")
    run = ensured(mlflow_url)
    MlflowClient(mlflow_url).log_artifact(run.run_id, str(tmp_path / "set a.csv"), "data")
    uri = f"runs:/{run.run_id}/data/set a.csv"
    (tmp_path / "MLproject").write_text(
        "entry_points: {main: {parameters: {data: path}, command: 'cat {data} && echo done'}}"
    )
    rendered = render(load_project(tmp_path).entry_point("main"), {"data": uri})
    assert rendered.parameters == {"data": uri}
    environment |= {"TMPDIR": str(tmp_path)}
    assert execute(rendered.command, tmp_path, environment) == "1,2,3\ndone\n"


def ensured(url: str) -> Run:
    return Tracking(url).ensure_run(
        RunRequest("download", 1, "parity-data", git_uri="https://host/r.git", commit_sha="0" * 40)
    )


@pytest.mark.parametrize("name", ["main", "train.py", "jobs/train all.py", "train.sh", "train.R"])
def test_an_entry_point_means_what_it_means_to_mlflow(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHELL", raising=False)  # MLflow's own, where it is set, is of the worker and not of the image
    (tmp_path / "MLproject").write_text("entry_points: {main: {command: run it}}")
    theirs: Any = mlflow_projects.load_project(str(tmp_path))  # type: ignore[no-untyped-call]
    values = {"extra": "two words", "flag": "x;y"}
    command = render(load_project(tmp_path).entry_point(name), values).command
    assert command == theirs.get_entry_point(name).compute_command(values, None)
