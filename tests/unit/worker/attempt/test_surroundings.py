"""What surrounds a training: variables, passwords, the guard, the cache and git's configuration."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mypackage.dataset.cache import Cache
from shared.addresses.git_uri import Credentials
from tests.fakes.worker import FakeWorker
from tests.unit.worker.attempt.preparing import PROJECT, DockerWorker, started, train_as
from worker.attempt.surroundings import Surroundings
from worker.credentials.keys import Keys
from worker.project.entry_points import EnvironmentVariable, Project
from worker.runners.docker.inside import seen_from_container


@pytest.fixture
def worker(tmp_path: Path) -> FakeWorker:
    return DockerWorker.new(tmp_path, project_env_allowlist="REGION", mlflow_tracking_uri="http://127.0.0.1:5007")


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
    given = surroundings.give(Project("iris", environment=own), {})
    assert given.env["PYTHONUNBUFFERED"] == gets
    assert given.env["GIT_PYTHON_REFRESH"] == "quiet"
    assert given.env["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] == "true"


@pytest.mark.parametrize(("kind", "says"), [("process", True), ("docker", False)])
def test_a_log_says_that_packages_were_not_installed_where_no_image_has_them(
    worker: FakeWorker, kind: str, says: bool
) -> None:
    train_as(kind, worker)
    surroundings = Surroundings(worker.settings, {}, worker.runner.inside)
    given = surroundings.give(Project("iris", packages="my $(env).yaml"), {})
    printed = subprocess.run(["sh", "-c", given.prelude], capture_output=True, text=True, check=False).stderr
    assert ("Nothing of my $(env).yaml was installed" in printed) is says
    assert "installed" not in surroundings.give(Project("iris"), {}).prelude


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


def test_credentials_of_the_data_reach_the_training_in_a_private_file_only(worker: FakeWorker) -> None:
    secrets = Keys(dataset=Credentials("https://git.example/", "robot", "ghp_s3cret"))

    _, spec = started(worker, secrets)

    assert spec.private_env["gitconfig"] == "GIT_CONFIG_GLOBAL"
    assert b"https://git.example/" in spec.private_files["gitconfig"]
    assert b"ghp_s3cret" in spec.private_files["gitlogin"]
    shown = f"{spec.env} {spec.command} {spec.private_files['gitconfig']!r}"
    assert "ghp_s3cret" not in shown
    assert "Basic" not in shown


def cache_given(worker: FakeWorker, repository: str) -> Cache:
    _, spec = started(worker, git_uri=f"https://git.example/{repository}.git")
    (volume,) = spec.volumes
    return Cache(Path(volume.source) / volume.own_folder)


def filling(text: str) -> Callable[[Path], str]:
    def fill(folder: Path) -> str:
        (folder / "files").mkdir(parents=True)
        (folder / "files" / "data.csv").write_text(text)
        return "sha256:abc"

    return fill


def test_what_one_project_puts_into_the_cache_no_other_trains_on(tmp_path: Path) -> None:
    worker = DockerWorker.new(tmp_path, dataset_cache=str(tmp_path / "cache"), project_env_allowlist="REGION")
    cache_given(worker, "mallory").bring("sha256 abc", tmp_path / "hers", filling("poison"))
    cache_given(worker, "iris").bring("sha256 abc", tmp_path / "ours", filling("honest"))
    assert (tmp_path / "ours" / "data.csv").read_text() == "honest"
    cache_given(worker, "iris").bring("sha256 abc", tmp_path / "again", filling("fetched again"))
    assert (tmp_path / "again" / "data.csv").read_text() == "honest"


@pytest.mark.parametrize("folder", ["/data/cache", "cache"])
def test_who_shares_a_cache_is_said_by_a_setting(tmp_path: Path, folder: str) -> None:
    worker = DockerWorker.new(tmp_path)
    job = worker.store.get(worker.submit())
    jobs = {
        "same": job,
        "other repository": replace(job, request={**job.request, "git_uri": "https://git.example/other.git"}),
        "other team": replace(job, team="vision"),
    }

    def caches(of: str) -> dict[str, str]:
        settings = worker.settings.model_copy(update={"dataset_cache": folder, "dataset_cache_of": of})
        surroundings = Surroundings(settings, {}, worker.runner.inside)
        return {name: surroundings.cache_volume(job)[0].source for name, job in jobs.items()}

    by_project, by_team, of_all = caches("project"), caches("team"), caches("all")
    assert len(set(by_project.values())) == 3
    assert by_team["same"] == by_team["other repository"] != by_team["other team"]
    assert set(of_all.values()) == {folder}
    assert all(each.startswith(folder) for each in (*by_project.values(), *by_team.values()))


@pytest.mark.parametrize(("kind", "place"), [("docker", "/mnt/retrain-cache/datasets"), ("process", "/data/cache")])
def test_training_shares_the_cache_of_datasets_only_where_the_operator_names_one(
    tmp_path: Path, kind: str, place: str
) -> None:
    worker = DockerWorker.new(
        tmp_path, dataset_cache="/data/cache", dataset_cache_bytes=7, project_env_allowlist="REGION"
    )
    train_as(kind, worker)
    _, spec = started(worker)
    assert (spec.env["RETRAIN_CACHE"], spec.env["RETRAIN_CACHE_MAX_BYTES"]) == (place, "7")
    assert [f"{each.target}/datasets" for each in spec.volumes] == ([place] if kind == "docker" else [])


def test_without_such_a_setting_no_training_shares_anything(worker: FakeWorker) -> None:
    _, spec = started(worker)
    assert "RETRAIN_CACHE" not in spec.env
    assert list(spec.volumes) == []


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


@pytest.mark.parametrize(
    ("kind", "environment", "is_included"),
    [("docker", {}, True), ("process", {"HOME": "/home/robot"}, True), ("process", {}, False)],
)
def test_the_users_own_git_configuration_is_read_where_the_training_has_a_home(
    worker: FakeWorker, kind: str, environment: dict[str, str], is_included: bool
) -> None:
    worker.preparation = replace(worker.preparation, host_environment={"REGION": "eu", **environment})
    train_as(kind, worker)
    _, spec = started(worker, Keys(dataset=Credentials("https://git.example/", "robot", "pass")))
    assert (b"~/.gitconfig" in spec.private_files["gitconfig"]) is is_included
