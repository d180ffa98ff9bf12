"""RUNNER names a kind of runner: ours, or one that another distribution brings."""

from pathlib import Path

import pytest

from shared.settings import Settings
from tests.support.distributions import install
from worker.doctor.runner import check_runner
from worker.findings.finding import State
from worker.runners.registry import RUNNERS, worker_redactor

OTHER = """
class Other:
    @staticmethod
    def secrets(settings, environment):
        yield environment["CLUSTER"] + "-" + settings.worker_host
"""


def settings(folder: Path, **fields: str) -> Settings:
    return Settings.load(_env_file=None, data_dir=folder, worker_host="host-a", **fields)


@pytest.mark.parametrize("name", ["docker", "process"])
def test_ours_are_made_from_the_settings_though_nothing_answers(name: str, tmp_path: Path) -> None:
    runner = RUNNERS.load(name).from_settings(settings(tmp_path), {"DOCKER_HOST": "tcp://127.0.0.1:1"})
    assert runner.kind == name
    assert runner.find_unused_images(unused_seconds=0) == []


def test_trainings_see_what_their_kind_of_runner_shows_them(tmp_path: Path) -> None:
    here = settings(tmp_path, mlflow_tracking_uri="http://127.0.0.1:5007")
    inside = RUNNERS.load("docker").from_settings(here, {}).inside
    assert (inside.tracking_uri, inside.runs_images) == ("http://host.docker.internal:5007", True)
    inside = RUNNERS.load("process").from_settings(here, {}).inside
    assert (inside.tracking_uri, inside.runs_images, inside.has_home) == (None, False, False)


def test_an_engine_that_is_away_has_no_version(tmp_path: Path) -> None:
    assert RUNNERS.load("docker").find_version({"DOCKER_HOST": "tcp://127.0.0.1:1"}) is None
    assert RUNNERS.load("process").find_version({})


def test_only_containers_have_a_network_of_their_own() -> None:
    network = RUNNERS.load("docker").find_network("retrain-1234567890")
    assert network
    assert (network.name, network.bridge) == ("retrain-1234567890", "retrain-1234567")
    assert RUNNERS.load("process").find_network() is None


def test_the_doctor_names_the_runners_that_there_are_where_the_setting_names_none(tmp_path: Path) -> None:
    (found,) = check_runner(settings(tmp_path, runner="podman"), {})
    assert found.state is State.FAILURE
    assert found.seen == "RUNNER names 'podman', which is not one of docker, process."


def test_the_doctor_lets_the_runner_look_for_itself(tmp_path: Path) -> None:
    (found,) = check_runner(settings(tmp_path, runner="process"), {})
    assert (found.subject, found.state) == ("Docker", State.SKIPPED)


def test_what_the_runner_alone_knows_to_be_secret_is_redacted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other_runner.py").write_text(OTHER)
    install(tmp_path, monkeypatch, name="other", group="retrain.runners", entry_points={"other": "other_runner:Other"})
    redactor = worker_redactor(settings(tmp_path, runner="other"), {"CLUSTER": "hunter2"})
    assert redactor.text("it says hunter2-host-a") == "it says ***"
