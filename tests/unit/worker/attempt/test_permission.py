"""What a project may use, by the team and roles of the job's sender: told before anything of it starts."""

from pathlib import Path
from typing import Any

import pytest

from shared.errors import Code, UserError
from shared.jobs.model import JobState
from tests.fakes.worker import FakeWorker
from tests.unit.worker.attempt.preparing import DockerWorker, started
from worker.runners.seam import Capacity

POLICY = """
[default]
images = ["registry.example.com/*"]
gpus = 0
[team.vision]
images = ["iris"]
variables = ["REGION"]
[team.speech]
images = "any"
variables = []
[team.volumes]
images = "any"
volumes = ["/data/mine"]
[team.elsewhere]
images = "any"
networks = ["training"]
[team.small]
images = "any"
cpus = 1.5
memory = "256m"
"""
WITH_VOLUME = "name: iris\ndocker_env:\n  image: iris:1\n  volumes: [{}]\nentry_points:\n  main: {{command: 'true'}}\n"


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeWorker:
    (tmp_path / "policy.toml").write_text(POLICY)
    return made(tmp_path)


def made(folder: Path, **settings: Any) -> FakeWorker:
    usual = {"project_env_allowlist": "REGION", "volume_allowlist": "/data", "policy_file": folder / "policy.toml"}
    return DockerWorker.new(folder, **{**usual, **settings})


def refusal(worker: FakeWorker, team: str | None, **request: Any) -> str:
    with pytest.raises(UserError) as caught:
        started(worker, job={"team": team, "roles": ("submitter",)}, **request)
    assert caught.value.code is Code.NOT_PERMITTED
    assert worker.host.started == []
    return caught.value.message


def test_an_image_is_for_those_whose_rules_have_it(worker: FakeWorker) -> None:
    said = refusal(worker, None)
    assert "names the image iris:1, and its sender may use registry.example.com/* (images in [default]" in said
    started(worker, job={"team": "vision", "roles": ("submitter",)})


def test_the_image_allowlist_holds_for_everybody(tmp_path: Path, worker: FakeWorker) -> None:
    worker = made(tmp_path / "other", policy_file=tmp_path / "policy.toml", image_allowlist="python,acme/*")
    assert "IMAGE_ALLOWLIST allows acme/*, python" in refusal(worker, "vision")


def test_a_variable_of_the_worker_is_for_those_whose_rules_have_it(worker: FakeWorker) -> None:
    assert "copies the variable 'REGION'" in refusal(worker, "speech")


def test_a_policy_never_widens_the_workers_own_allowlist(tmp_path: Path, worker: FakeWorker) -> None:
    worker = made(tmp_path / "other", policy_file=tmp_path / "policy.toml", project_env_allowlist="")
    with pytest.raises(UserError, match="PROJECT_ENV_ALLOWLIST"):
        started(worker, job={"team": "vision", "roles": ("submitter",)})


@pytest.mark.parametrize(("folder", "is_mine"), [("/data/mine/a", True), ("/data/others", False), ("/data", False)])
def test_a_folder_is_for_those_whose_rules_have_it(worker: FakeWorker, folder: str, is_mine: bool) -> None:
    worker.source.project = WITH_VOLUME.format(f"'{folder}:/d'")
    if is_mine:
        started(worker, job={"team": "volumes", "roles": ("submitter",)})
    else:
        assert f"mounts '{folder}' (volumes in [team.volumes]" in refusal(worker, "volumes")


def test_a_host_in_another_network_does_not_train_it(worker: FakeWorker) -> None:
    assert "trains in the network bridge" in refusal(worker, "elsewhere")


def test_a_job_that_is_older_than_the_rules_is_held_to_them(worker: FakeWorker) -> None:
    assert "gpus in [default] of POLICY_FILE" in refusal(worker, "speech", resources={"gpus": 1})


def test_the_services_own_defaults_give_no_more_than_the_rules(worker: FakeWorker) -> None:
    worker.host.capacity = Capacity(64 * 2**30, 16)
    _, spec = started(worker, job={"team": "small", "roles": ("submitter",)})
    assert (spec.cpus, spec.memory_bytes) == (1.5, 256 * 2**20)


def test_it_is_told_while_the_job_waits(worker: FakeWorker) -> None:
    job_id = worker.submit(job={"team": None, "roles": ("submitter",)})
    worker.clock.shift_seconds += 10
    worker.looking.once()
    job = worker.store.get(job_id)
    assert (job.state, job.reason and job.reason.code, job.attempts) == (JobState.FAILED, Code.NOT_PERMITTED, ())
