"""From a claim to a started attempt, on fakes: what the container is given, and what the record says about it."""

import hashlib
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shared.addresses.git_uri import Credentials
from shared.errors import Code, FailureType, UserError
from shared.jobs.records import Claim
from shared.secrets.vault import JobSecrets
from tests.fakes.worker import FakeWorker
from tests.support.jobs import claim
from worker.attempt.surroundings import Surroundings, git_config
from worker.project.entry_points import EnvironmentVariable, Project
from worker.runners.docker.inside import in_containers, seen_from_container
from worker.runners.seam import AttemptSpec, Handle, Inside, Volume
from worker.tracking.run_tags import tags_of

PROJECT = """\
name: iris
docker_env:
  image: iris:1
  environment: [["SEED", "7"], "REGION"]
entry_points:
  main:
    parameters:
      experiment_name: string
      alpha: {type: float, default: 0.5}
    command: "python train.py {alpha} {experiment_name}"
"""


class DockerWorker(FakeWorker):
    """A worker whose trainings see what they see in containers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.runner.inside = in_containers(self.settings)
        self.source.project = PROJECT


def train_as(kind: str, worker: FakeWorker) -> None:
    """Let trainings see what a runner of that kind shows them."""
    has_home = "HOME" in worker.preparation.host_environment
    worker.runner.inside = in_containers(worker.settings) if kind == "docker" else Inside(has_home=has_home)


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    return DockerWorker.new(tmp_path, project_env_allowlist="REGION", mlflow_tracking_uri="http://127.0.0.1:5007")


def started(worker: FakeWorker, secrets: JobSecrets | None = None, **request: Any) -> tuple[Claim, AttemptSpec]:
    """Claim a job and start its attempt."""
    taken = claim(worker.store, worker.submit(**request))
    worker.preparation.start(taken, secrets or JobSecrets())
    return taken, worker.host.started[-1]


def test_the_command_is_rendered_and_the_values_are_logged(worker: FakeWorker) -> None:
    _, spec = started(worker, parameters={"alpha": 0.1, "layers": 3})

    assert spec.command.endswith("python train.py 0.1 iris --layers 3")
    [run] = worker.tracking.runs.values()
    assert run.request.parameters == {"alpha": "0.1", "experiment_name": "iris", "layers": "3"}


def test_the_gate_gets_what_the_request_asks_of_it_and_nothing_else(worker: FakeWorker) -> None:
    _, spec = started(worker, promotion={"min_delta": 0.01, "guardrails": {"recall": 0.02}})
    assert json.loads(spec.env["RETRAIN_PROMOTION"]) == {"min_delta": 0.01, "guardrails": {"recall": 0.02}}

    _, spec = started(worker)
    assert "RETRAIN_PROMOTION" not in spec.env


def test_the_training_finds_its_run_by_its_environment(worker: FakeWorker) -> None:
    taken, spec = started(worker)

    assert (
        dict(spec.env).items()
        >= {
            "SEED": "7",
            "RETRAIN_JOB_ID": taken.job.id,
            "RETRAIN_ATTEMPT": "1",
            "RETRAIN_RUN_ID": f"run-{taken.job.id}-1",
            "MLFLOW_RUN_ID": f"run-{taken.job.id}-1",
            "MLFLOW_EXPERIMENT_ID": "1",
            "MLFLOW_TRACKING_URI": "http://host.docker.internal:5007",
        }.items()
    )


def test_the_training_and_its_run_know_the_request_that_asked_for_them(worker: FakeWorker) -> None:
    _, spec = started(worker, job={"request_id": "nightly.7"})

    assert spec.env["RETRAIN_REQUEST_ID"] == "nightly.7"
    assert [tags_of(run.request)["retrain.request_id"] for run in worker.tracking.runs.values()] == ["nightly.7"]


def test_the_run_has_the_name_that_the_request_gives_it(worker: FakeWorker) -> None:
    started(worker, run_name="iris, more trees")
    started(worker)

    named = [tags_of(run.request).get("mlflow.runName") for run in worker.tracking.runs.values()]
    assert named == ["iris, more trees", None]


def test_a_job_of_an_older_version_trains_without_a_request_id(worker: FakeWorker) -> None:
    _, spec = started(worker)

    assert "RETRAIN_REQUEST_ID" not in spec.env
    assert ["retrain.request_id" in tags_of(run.request) for run in worker.tracking.runs.values()] == [False]


def test_the_tracking_password_reaches_the_training_in_a_private_file_only(worker: FakeWorker) -> None:
    _, spec = started(worker)

    assert b"export MLFLOW_TRACKING_PASSWORD=mlflow-pass\n" in spec.private_files["exports"]
    assert "mlflow-pass" not in f"{spec.env} {spec.command}"


@pytest.mark.parametrize(("says", "gets"), [(None, "1"), ("", "")])
def test_python_prints_at_once_unless_the_project_says_otherwise(
    worker: FakeWorker, says: str | None, gets: str
) -> None:
    own = () if says is None else (EnvironmentVariable("PYTHONUNBUFFERED", says),)
    surroundings = Surroundings(worker.settings, {}, worker.runner.inside)
    given = surroundings.give(Project("iris", environment=own), {}, None)
    assert given.env["PYTHONUNBUFFERED"] == gets


def test_what_the_operator_lends_reaches_the_training_in_a_private_file_only(worker: FakeWorker) -> None:
    worker.preparation = replace(worker.preparation, host_environment={"REGION": "lent-s3cret"})
    _, spec = started(worker)

    assert b"export REGION=lent-s3cret\n" in spec.private_files["exports"]
    assert spec.private_env["exports"] == "RETRAIN_EXPORTS_FILE"
    assert "lent-s3cret" not in f"{spec.env} {spec.command}"
    assert spec.env["SEED"] == "7"  # the project's own word is no secret


def test_what_a_runtime_reads_before_the_command_stays_in_the_environment(worker: FakeWorker) -> None:
    worker.source.project = PROJECT.replace('"REGION"', '"LC_ALL"')
    settings = worker.settings.model_copy(update={"project_env_allowlist": {"LC_ALL"}})
    worker.preparation = replace(worker.preparation, settings=settings, host_environment={"LC_ALL": "C.UTF-8"})
    _, spec = started(worker)

    assert spec.env["LC_ALL"] == "C.UTF-8"
    assert b"LC_ALL" not in spec.private_files["exports"]


def test_what_is_lent_takes_the_place_of_none_of_the_services_own_variables(worker: FakeWorker) -> None:
    worker.source.project = PROJECT.replace('"REGION"', '"MLFLOW_RUN_ID"')
    settings = worker.settings.model_copy(update={"project_env_allowlist": {"MLFLOW_RUN_ID"}})
    worker.preparation = replace(worker.preparation, settings=settings, host_environment={"MLFLOW_RUN_ID": "another"})
    taken, spec = started(worker)

    assert spec.env["MLFLOW_RUN_ID"] == f"run-{taken.job.id}-1"
    assert b"another" not in spec.private_files["exports"]


def test_a_training_without_a_guard_says_in_its_log_that_it_has_the_password(worker: FakeWorker) -> None:
    _, spec = started(worker)
    assert spec.prelude.startswith("echo 'This training has the password of the MLflow server")


def test_behind_our_guard_the_training_has_neither_user_nor_password(tmp_path: Path) -> None:
    guard = {"tracking_guard_uri": "http://mlflow:5007", "mlflow_tracking_uri": "https://elsewhere"}
    worker = DockerWorker.new(tmp_path, project_env_allowlist="REGION", mlflow_tracking_username="me", **guard)
    _, spec = started(worker)
    assert spec.env["MLFLOW_TRACKING_URI"] == "http://mlflow:5007"
    assert "MLFLOW_TRACKING_USERNAME" not in spec.env
    assert [name for name, content in spec.private_files.items() if b"mlflow-pass" in content] == []
    assert "password" not in spec.prelude


@pytest.mark.parametrize(
    ("kind", "own", "address"),
    [("docker", "http://proxy:80", "http://proxy:80"), ("process", "", "https://elsewhere")],
)
def test_a_training_that_goes_past_the_guard_has_the_password(
    kind: str, own: str, address: str, tmp_path: Path
) -> None:
    guard = {"tracking_guard_uri": "http://mlflow:5007", "mlflow_tracking_uri": "https://elsewhere"}
    worker = DockerWorker.new(tmp_path, project_env_allowlist="REGION", container_tracking_uri=own, **guard)
    train_as(kind, worker)
    _, spec = started(worker)
    assert spec.env["MLFLOW_TRACKING_URI"] == address
    assert b"MLFLOW_TRACKING_PASSWORD=mlflow-pass" in spec.private_files["exports"]


def test_the_record_says_what_was_found_out(worker: FakeWorker) -> None:
    taken, _ = started(worker)

    job = worker.store.get(taken.job.id)
    assert (job.image, job.image_id, job.experiment_id) == ("iris:1", "sha256:iris:1", "1")
    assert job.run_id == job.attempt.run_id == f"run-{job.id}-1"
    assert len(job.commit_sha or "") == 40


def test_the_run_is_tagged_with_its_image(worker: FakeWorker) -> None:
    started(worker)

    assert [run.image for run in worker.tracking.runs.values()] == ["iris:1 sha256:iris:1"]


def test_limits_reach_the_runner(worker: FakeWorker) -> None:
    _, spec = started(worker, resources={"cpus": 1.5, "memory": "2g"})

    assert (spec.cpus, spec.memory_bytes) == (1.5, 2 * 2**30)


def test_credentials_of_the_data_reach_the_training_in_a_private_file_only(worker: FakeWorker) -> None:
    secrets = JobSecrets(dataset=Credentials("https://git.example/", "robot", "ghp_s3cret"))

    _, spec = started(worker, secrets)

    assert spec.private_env["gitconfig"] == "GIT_CONFIG_GLOBAL"
    assert b"https://git.example/" in spec.private_files["gitconfig"]
    shown = f"{spec.env} {spec.command}"
    assert "ghp_s3cret" not in shown
    assert "Basic" not in shown


@pytest.mark.parametrize(("kind", "place"), [("docker", "/mnt/retrain-cache"), ("process", "/data/cache")])
def test_training_shares_the_cache_of_datasets_only_where_the_operator_names_one(
    tmp_path: Path, kind: str, place: str
) -> None:
    worker = DockerWorker.new(
        tmp_path, dataset_cache="/data/cache", dataset_cache_bytes=7, project_env_allowlist="REGION"
    )
    train_as(kind, worker)
    _, spec = started(worker)
    assert (spec.env["RETRAIN_CACHE"], spec.env["RETRAIN_CACHE_MAX_BYTES"]) == (place, "7")
    assert list(spec.volumes) == ([Volume("/data/cache", place)] if kind == "docker" else [])


def test_without_such_a_setting_no_training_shares_anything(worker: FakeWorker) -> None:
    _, spec = started(worker)
    assert "RETRAIN_CACHE" not in spec.env
    assert list(spec.volumes) == []


def with_dataset(worker: FakeWorker) -> FakeWorker:
    worker.source.project = PROJECT.replace("experiment_name", "dataset_repo")
    return worker


DATA = "https://git.example/data.git"
FIRST = hashlib.sha1(b"v1", usedforsecurity=False).hexdigest()
NEWEST = hashlib.sha1(b"HEAD", usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("asked", "parameter", "pinned"),
    [
        (f"{DATA}@v1", f"{DATA}@{FIRST}", f"{DATA}@{FIRST}"),
        (f"{DATA}@v1:a/b", f"{DATA}@{FIRST}:a/b", f"{DATA}@{FIRST}:a/b"),
        (DATA, DATA, f"{DATA}@{NEWEST}"),
        ("https://git.example/data@v1", f"https://git.example/data@{FIRST}", f"https://git.example/data@{FIRST}"),
        ("https://git.example/data", "https://git.example/data", None),
        ("http://other.example/data.git", "http://other.example/data.git", None),
        ("not_used", "not_used", None),
    ],
)
def test_the_data_is_pinned_to_the_commit_that_the_first_attempt_finds(
    worker: FakeWorker, asked: str, parameter: str, pinned: str | None
) -> None:
    taken, spec = started(with_dataset(worker), dataset_repo=asked)
    [run] = worker.tracking.runs.values()
    assert run.request.parameters["dataset_repo"] == parameter
    assert spec.env.get("RETRAIN_DATASET_REPO") == pinned
    assert worker.store.get(taken.job.id).dataset_repo == pinned


def test_a_later_attempt_uses_the_data_of_the_first_and_does_not_look_again(worker: FakeWorker) -> None:
    pinned = f"{DATA}@{FIRST}"
    _, spec = started(with_dataset(worker), dataset_repo=f"{DATA}@main", job={"dataset_repo": pinned})
    assert spec.env["RETRAIN_DATASET_REPO"] == pinned
    assert [request.what for request in worker.source.requests] == ["git_uri"]


def test_only_the_datas_own_credentials_are_shown_to_its_host(worker: FakeWorker) -> None:
    dataset = Credentials("https://git.example/", "robot", "ghp_s3cret")
    started(with_dataset(worker), JobSecrets(dataset=dataset), dataset_repo=DATA)
    assert [request.credentials for request in worker.source.requests] == [None, dataset]


OWN_DEFAULTS = PROJECT.replace(
    "experiment_name: string",
    "base_model: {default: mobile_v2}\n      dataset_repo: {default: 'https://git.example/d.git'}",
).replace("{experiment_name}", "{base_model} {dataset_repo}")


def test_a_projects_own_defaults_stand_where_the_request_says_nothing(worker: FakeWorker) -> None:
    worker.source.project = OWN_DEFAULTS
    _, spec = started(worker)
    assert spec.command.endswith("python train.py 0.5 mobile_v2 https://git.example/d.git")
    _, spec = started(worker, base_model="", dataset_uri="")
    assert spec.command.endswith("python train.py 0.5 mobile_v2 https://git.example/d.git")
    assert [request.what for request in worker.source.requests] == ["git_uri", "git_uri"]

    _, spec = started(worker, base_model="None", dataset_repo="not_used")
    assert spec.command.endswith("python train.py 0.5 None not_used")


def test_a_job_that_an_earlier_version_recorded_has_the_words_that_it_wrote(worker: FakeWorker) -> None:
    worker.source.project = OWN_DEFAULTS
    recorded = worker.store.get(worker.submit()).request
    assert not {"base_model", "dataset_repo"} & set(recorded)
    earlier = {**recorded, "base_model": "None", "dataset_repo": "not_used"}
    _, spec = started(worker, job={"request": earlier})
    assert spec.command.endswith("python train.py 0.5 None not_used")


def test_data_of_a_project_that_takes_none_is_not_looked_at(worker: FakeWorker) -> None:
    started(worker, dataset_repo=DATA)
    assert [request.what for request in worker.source.requests] == ["git_uri"]


def with_base_model(worker: FakeWorker) -> FakeWorker:
    worker.source.project = PROJECT.replace("experiment_name", "base_model")
    return worker


def test_a_base_model_reaches_every_attempt_as_the_version_that_its_alias_was_at_the_first(worker: FakeWorker) -> None:
    worker.tracking.base_models = {"models:/iris@champion": "3", "models:/iris/3": "3"}
    taken, spec = started(with_base_model(worker), base_model="models:/iris@champion")
    assert spec.command.endswith(" models:/iris/3")
    known = worker.store.get(taken.job.id).base_model_version
    assert known == "3"

    worker.tracking.base_models["models:/iris@champion"] = "4"
    _, spec = started(worker, base_model="models:/iris@champion", job={"base_model_version": known})
    assert spec.command.endswith(" models:/iris/3")


@pytest.mark.parametrize("word", ["None", "yolov8n.pt", "/models/base", "base_model"])
def test_a_base_model_that_only_the_project_understands_reaches_it_as_it_is(worker: FakeWorker, word: str) -> None:
    taken, _ = started(with_base_model(worker), base_model=word)
    [run] = worker.tracking.runs.values()
    assert run.request.parameters["base_model"] == word
    assert worker.store.get(taken.job.id).base_model_version is None


def test_a_base_model_of_a_registry_that_the_project_brings_itself_is_not_looked_up(worker: FakeWorker) -> None:
    with_base_model(worker)
    worker.source.project = worker.source.project.replace('"SEED", "7"', '"MLFLOW_REGISTRY_URI", "databricks-uc"')
    _, spec = started(worker, base_model="models:/main.team.iris@champion")
    assert spec.command.endswith(" models:/main.team.iris@champion")


def test_a_base_model_that_is_not_there_ends_the_job_before_a_container_is_made(worker: FakeWorker) -> None:
    job_id = with_base_model(worker).submit(base_model="models:/iris/9")
    worker.run(job_id)

    reason = worker.store.get(job_id).reason
    assert reason
    assert (reason.code, reason.type) == (Code.INVALID_PARAMETER, FailureType.USER_ERROR)
    assert worker.host.started == []


def test_a_base_model_is_looked_up_again_when_the_tracking_server_was_away(worker: FakeWorker) -> None:
    worker.tracking.base_models = {"models:/iris/3": "3"}
    worker.tracking.down = True
    job_id = with_base_model(worker).submit(base_model="models:/iris/3")
    worker.run(job_id)
    job = worker.store.get(job_id)
    assert (job.state, job.attempt.reason and job.attempt.reason.code) == ("retry_wait", Code.TRACKING_UNAVAILABLE)


def test_a_base_model_of_a_project_that_takes_none_is_not_looked_at(worker: FakeWorker) -> None:
    taken, _ = started(worker, base_model="models:/iris/9")
    assert worker.store.get(taken.job.id).base_model_version is None


def test_a_project_without_an_image_does_not_train_in_containers(worker: FakeWorker) -> None:
    worker.source.project = 'name: iris\nentry_points: {main: {command: "true"}}\n'
    taken = claim(worker.store, worker.submit())

    with pytest.raises(UserError, match=r"docker_env\.image") as error:
        worker.preparation.start(taken, JobSecrets())
    assert error.value.code == Code.INVALID_PROJECT
    assert worker.tracking.runs == {}


def test_an_image_that_cannot_be_pulled_is_found_out_before_the_run_is_made(worker: FakeWorker) -> None:
    worker.runner.image_error = UserError(Code.IMAGE_PULL_FAILED, "There is no image iris:1.")
    taken = claim(worker.store, worker.submit())

    with pytest.raises(UserError):
        worker.preparation.start(taken, JobSecrets())
    assert worker.tracking.runs == {}


@pytest.mark.parametrize("breaks", [False, True])
def test_the_source_is_gone_once_the_attempt_has_it(worker: FakeWorker, breaks: bool) -> None:
    if breaks:
        worker.tracking.down = True
        with pytest.raises(Exception, match="does not answer"):
            started(worker)
    else:
        started(worker)

    assert worker.source.list_names() == []


def test_a_folder_that_cannot_be_removed_does_not_end_the_attempt(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_name: str) -> None:
        raise OSError("Device or resource busy")

    monkeypatch.setattr(worker.source, "discard", refuse)
    taken = claim(worker.store, worker.submit())

    assert isinstance(worker.preparation.start(taken, JobSecrets()), Handle)


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("http://127.0.0.1:5007", "http://host.docker.internal:5007"),
        ("http://localhost:5007/mlflow", "http://host.docker.internal:5007/mlflow"),
        ("http://[::1]:5007", "http://host.docker.internal:5007"),
        ("http://mlflow:5000", "http://mlflow:5000"),
    ],
)
def test_a_container_reaches_this_machines_loopback_by_another_name(here: str, there: str) -> None:
    assert seen_from_container(here) == there


def test_a_container_on_the_hosts_network_reaches_its_loopback_as_it_is() -> None:
    assert seen_from_container("http://127.0.0.1:5007", "host") == "http://127.0.0.1:5007"


@pytest.mark.parametrize("has_home", [True, False])
def test_a_git_configuration_speaks_to_its_own_host_only_beside_the_users_own(tmp_path: Path, has_home: bool) -> None:
    (tmp_path / ".gitconfig").write_text("[http]\n\tproxy = http://proxy.example\n")
    credentials = Credentials("https://git.example/", "robot", "pass")
    (tmp_path / "written").write_bytes(git_config(credentials, has_home=has_home))

    def asked(name: str, url: str) -> str:
        home = {"HOME": str(tmp_path)} if has_home else {}
        env = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": str(tmp_path / "written"), "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "config", "--get-urlmatch", name, url]
        done = subprocess.run(command, env=env | home, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.stdout.strip()

    assert asked("http.extraHeader", "https://git.example/data.git") == "Authorization: Basic cm9ib3Q6cGFzcw=="
    assert asked("http.extraHeader", "https://other.example/data.git") == ""
    assert asked("http.proxy", "https://git.example/") == ("http://proxy.example" if has_home else "")


@pytest.mark.parametrize(
    ("kind", "environment", "is_included"),
    [("docker", {}, True), ("process", {"HOME": "/home/robot"}, True), ("process", {}, False)],
)
def test_the_users_own_git_configuration_is_read_where_the_training_has_a_home(
    worker: FakeWorker, kind: str, environment: dict[str, str], is_included: bool
) -> None:
    worker.preparation = replace(worker.preparation, host_environment={"REGION": "eu", **environment})
    train_as(kind, worker)
    _, spec = started(worker, JobSecrets(dataset=Credentials("https://git.example/", "robot", "pass")))
    assert (b"~/.gitconfig" in spec.private_files["gitconfig"]) is is_included


def test_the_gpus_of_the_claim_reach_the_runner(tmp_path: Path) -> None:
    worker = FakeWorker.new(tmp_path, retrain_gpus="a,b")
    worker.sweep.once(reconcile=True)
    job_id = worker.submit(resources={"gpus": 2}, job={"gpus": 2})
    worker.run(job_id)

    assert [spec.gpu_ids for spec in worker.host.started] == [("a", "b")]
    assert worker.store.get(job_id).attempt.gpu_ids == ("a", "b")
