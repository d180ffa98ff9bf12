"""`make up`: it refuses what it cannot do, stops without a trace, keeps its data, and shows its passwords to nobody."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.acceptance.support.checkout import ROOT
from tests.acceptance.support.leaks import command_lines
from tests.acceptance.support.projects import WAIT_FOR_GO, let_go, mlproject, repository
from tests.support.network.guard_probe import attacks, not_refused
from tests.support.network.reaching import reached
from tests.support.servers.stack import Stack, running_stack
from tests.support.waiting import wait_until

STOP_SECONDS = 10
KILLED_SECONDS = 40
REFUSED_SECONDS = 30
VARIABLES = {
    "api": "API_PORT",
    "mlflow": "MLFLOW_TRACKING_URI",
    "redis": "REDIS_PORT",
    "worker": "WORKER_METRICS_PORT",
    "flower": "FLOWER_URL",
}


def refusal(stack: Stack) -> str:
    """Start a stack that must not start; what it says about that."""
    done = subprocess.run(
        [sys.executable, "-m", "deploy.one_machine.stack"],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=REFUSED_SECONDS,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def kill(process: psutil.Process) -> None:
    """As the kernel does when memory is short."""
    process.send_signal(signal.SIGKILL)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of the test's own, to be stopped and killed."""
    with running_stack(tmp_path / "stack", runner="process") as up:
        yield up


def body(git_uri: str) -> dict[str, str]:
    return {"experiment_name": "make-up", "git_uri": git_uri}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_taken_port_is_named_with_its_owner_and_the_setting(
    name: str, listener: socket.socket, tmp_path: Path
) -> None:
    stack = Stack(tmp_path, "process")
    stack.ports[name] = listener.getsockname()[1]
    said = refusal(stack)
    owner = f"{psutil.Process().name()} (pid {os.getpid()}: "
    assert said.startswith(f"Port {stack.ports[name]} ({name}) is taken by {owner}")
    assert said.rstrip().endswith(f"choose another one with {VARIABLES[name]}.")


def test_a_second_stack_on_the_same_data_is_refused_and_the_first_goes_on(process_stack: Stack, tmp_path: Path) -> None:
    second = replace(Stack(tmp_path, "process"), settings={"DATA_DIR": str(process_stack.data)})
    assert f"A stack runs on {process_stack.data} already" in refusal(second)
    assert process_stack.get("/readyz").json()["live_workers"] == 1


def test_its_first_lines_look_like_no_fault_and_lead_to_the_pages(process_stack: Stack) -> None:
    wait_until(lambda: "\nReady. " in process_stack.log, what="the box with the addresses")
    shown = process_stack.log.partition("\nReady. ")[2].splitlines()
    assert shown[1] == f"  Pages   {process_stack.urls['api']}/ui/"
    noise = ("SecurityWarning", "DeprecationWarning", "Inspect method", "-------------- worker@")
    assert [each for each in noise if each in process_stack.log] == []


def test_ctrl_c_stops_it_within_10_s_and_a_restart_finds_jobs_and_training_again(stack: Stack, tmp_path: Path) -> None:
    go = tmp_path / "go"
    short = repository(tmp_path / "short", {"MLproject": mlproject("echo fine")})
    waiting = repository(tmp_path / "waiting", {"MLproject": mlproject(f"while [ ! -e {go} ]; do sleep 0.1; done")})
    done = stack.wait(stack.post(body(short)))
    training = stack.wait_running(stack.post(body(waiting)))

    before = time.monotonic()
    stack.stop(signal.SIGINT, seconds=STOP_SECONDS)
    assert time.monotonic() - before < STOP_SECONDS
    assert stack.processes() != []  # the training

    stack.start()
    listed = {job["id"]: job["state"] for job in stack.get("/jobs").json()["jobs"]}
    assert listed == {done["id"]: "succeeded", training["id"]: "running"}
    assert stack.job(done) == done
    assert stack.job_log(done) == "fine\n"
    go.touch()
    ended = stack.wait(training)
    assert (ended["state"], len(ended["attempts"])) == ("succeeded", 1)
    assert ended["attempts"][0]["container"] == training["attempts"][0]["container"]


def test_two_stacks_on_one_host_leave_each_others_training_alone(tmp_path: Path) -> None:
    git_uri = repository(tmp_path / "project", {"MLproject": mlproject(WAIT_FOR_GO)})
    with running_stack(tmp_path / "first", runner="docker") as first:
        training = first.wait_running(first.post(body(git_uri)))
        with running_stack(tmp_path / "second", runner="docker", settings={"WORKER_HOST": first.host}) as second:
            # It reconciles in its first sweep, before this job's end.
            second.wait(second.post({**body(git_uri), "commit_hash": "no-such-branch"}))
            (container,) = first.containers()
            let_go(container)
        ended = first.wait(training)
    assert (ended["state"], len(ended["attempts"])) == ("succeeded", 1)


def test_trainings_reach_mlflow_but_neither_each_other_nor_what_is_private(docker_stack: Stack, tmp_path: Path) -> None:
    git_uri = repository(tmp_path / "project", {"MLproject": mlproject(WAIT_FOR_GO)})
    posted = [docker_stack.post({**body(git_uri), "experiment_name": name}) for name in ("one", "other")]
    jobs = [docker_stack.wait_running(job) for job in posted]
    one, other = docker_stack.containers()
    mlflow, listens = ("host.docker.internal", docker_stack.ports["mlflow"]), (address_in(other), 8000)
    other.exec_run(["python3", "-m", "http.server", "8000"], detach=True)
    wait_until(lambda: reached(other, [listens]) == [listens], what="the other training's server")
    is_guarded = (docker_stack.data / "firewall").exists()
    private = [("169.254.169.254", 80), ("10.0.0.1", 80)] if is_guarded else []
    assert reached(one, [mlflow, listens, *private]) == [mlflow]
    for container in (one, other):
        let_go(container)
    assert {docker_stack.wait(job)["state"] for job in jobs} == {"succeeded"}


def address_in(container: Any) -> str:
    (network,) = container.attrs["NetworkSettings"]["Networks"].values()
    return str(network["IPAddress"])


def test_a_killed_supervisor_leaves_no_process_behind(stack: Stack) -> None:
    assert stack.process is not None
    kill(psutil.Process(stack.process.pid))
    assert stack.wait_for_end() == -signal.SIGKILL
    # Nobody is left to kill what is slow to end.
    wait_until(lambda: not stack.processes(), timeout_seconds=KILLED_SECONDS, what=f"no process of {stack.folder}")
    stack.assert_gone()
    stack.start()


@pytest.mark.parametrize("victim", ["worker", "redis"])
def test_a_killed_part_ends_the_stack_with_an_error_and_no_process_is_left(victim: str, stack: Stack) -> None:
    names = {"worker": "-m worker", "redis": "valkey-server"}
    (process,) = (each for each in stack.processes() if names[victim] in " ".join(each.cmdline()))
    kill(process)
    assert stack.wait_for_end() != 0
    stack.assert_gone()
    assert f"{victim} stopped (rc=-9)" in stack.log


def test_flower_wants_its_password_and_shows_a_job_under_its_id(process_stack: Stack, tmp_path: Path) -> None:
    git_uri = repository(tmp_path / "project", {"MLproject": mlproject("echo fine")})
    job = process_stack.wait(process_stack.post(body(git_uri)))
    url = f"{process_stack.urls['flower']}/task/{job['id']}"
    assert job["links"]["flower"] == url
    assert requests.get(url, timeout=10).status_code == 401
    assert requests.get(url, auth=("admin", "admin"), timeout=10).status_code == 401
    password = (process_stack.data / "flower-password").read_text()

    def page() -> str:
        return requests.get(url, auth=("admin", password), timeout=10).text

    wait_until(lambda: job["id"] in page() and "SUCCESS" in page(), timeout_seconds=20, what="the task's page")


def test_passwords_and_keys_are_for_the_operator_alone(process_stack: Stack) -> None:
    names = ("redis-password", "flower-password", "secret.key", "valkey/valkey.conf")
    modes = {name: oct(stat.S_IMODE((process_stack.data / name).stat().st_mode)) for name in names}
    assert modes == dict.fromkeys(names, "0o600")
    secrets = [(process_stack.data / name).read_bytes() for name in names[:3]]
    assert [line for line in command_lines() if any(secret in line for secret in secrets)] == []
    assert [secret for secret in secrets if secret.decode() in process_stack.log] == []


def test_no_other_user_reads_sources_logs_records_or_models(process_stack: Stack, tmp_path: Path) -> None:
    """In a folder that was there before, open to all, as one makes it for a disk of its own."""
    job = process_stack.post(body(repository(tmp_path / "git", {"MLproject": mlproject("echo trained > trained")})))
    assert process_stack.wait(job)["state"] == "succeeded"
    kept = {}
    for each in process_stack.data.rglob("*"):
        with suppress(FileNotFoundError):  # an ended attempt's is being removed
            kept[each] = each.lstat()
    assert {"jobs.db", "mlflow.db", "mirrors", "artifacts"} <= {each.name for each in kept}
    modes = {path: found.st_mode for path, found in kept.items() if "code" not in path.parts}
    assert [str(path) for path, mode in modes.items() if mode & 0o077 and not stat.S_ISLNK(mode)] == []


@pytest.mark.parametrize("runner", ["process", "docker"])
def test_the_doctor_finds_nothing_wrong_with_it(runner: str, request: pytest.FixtureRequest) -> None:
    stack: Stack = request.getfixturevalue(f"{runner}_stack")
    done = subprocess.run(
        [sys.executable, "-m", "worker.doctor"],
        cwd=ROOT,
        env={**stack.environment, "GIT_HOSTS": ""},  # the tests' git servers are at ports of their own
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "warning" not in done.stdout


@pytest.mark.parametrize("part", ["api", "worker"])
def test_it_serves_metrics_where_it_says(part: str, process_stack: Stack) -> None:
    url = f"{process_stack.urls[part]}/metrics"
    wait_until(lambda: url in process_stack.log, what="the address of the metrics")
    assert "# HELP retrain_" in requests.get(url, timeout=5).text


def test_training_gets_no_further_than_the_guard_before_mlflow(docker_stack: Stack, tmp_path: Path) -> None:
    git_uri = repository(tmp_path / "project", {"MLproject": mlproject(WAIT_FOR_GO)})
    training = docker_stack.wait_running(docker_stack.post(body(git_uri)))
    (container,) = (each for each in docker_stack.containers() if training["id"] in each.name)
    before = {process.pid for process in docker_stack.processes()}
    assert not_refused(container, attacks(str(tmp_path / "planted"))) == []
    assert {process.pid for process in docker_stack.processes()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["project"]
    assert list((docker_stack.folder / "home").iterdir()) == []  # where the assistant keeps what it was told
    let_go(container)
    ended = docker_stack.wait(training)
    assert (ended["state"], len(ended["refused"])) == ("succeeded", 20)  # as many as a list has


def test_mlflow_s_assistant_serves_nobody_on_this_machine_either(process_stack: Stack) -> None:
    config = f"{process_stack.urls['mlflow']}/ajax-api/3.0/mlflow/assistant/config"
    assert requests.get(config, timeout=10).status_code == 403
    assert requests.get(f"{process_stack.urls['mlflow']}/", timeout=10).ok
