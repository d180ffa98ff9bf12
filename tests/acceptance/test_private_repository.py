"""A private repository, the predecessor's way: the token stands in git_uri. It trains, and the token is nowhere."""

import asyncio
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.support.leaks import (
    ArgumentSampler,
    Secret,
    answers_with,
    docker_with,
    environments_with,
    files_with,
    git_configurations,
    runs_with,
)
from tests.acceptance.support.projects import GO, WAIT_FOR_GO, let_go, mlproject, repository
from tests.support.engines import require
from tests.support.network.gateway import forward
from tests.support.servers.git_server import GitServer
from tests.support.servers.stack import Stack
from tests.support.waiting import wait_until
from worker.runners.docker.networks import bridge_address

CURL_SECONDS = 30
# It must need quoting in a URL, in JSON and in a shell, and must be no substring of anything by chance.
PASSWORD = Secret("retrain-bot", "p@ss/w0rd:&%41\"'$é-k7Qx")
TOKEN = Secret("ghp_Zq7eXw93kLmN0pRsTuVyB2dFhJ4aC6gE8iKo", "")
NOSY = f"""\
echo looking around
env
find . -type f -not -path './.git/objects/*' -exec cat {{}} +
cat /proc/*/environ /proc/*/cmdline | tr '\\0' '\\n'
{WAIT_FOR_GO}
echo looked around
"""


def body(git_uri: str, **changes: Any) -> dict[str, Any]:
    """The body that the predecessor's README documents."""
    documented = {
        "experiment_name": "name_of_experiment",
        "git_uri": git_uri,
        "MLproject_location": "path/to/MLproject/directoy",
        "commit_hash": "main",
        "dataset_uri": "",
        "base_model": "",
    }
    return documented | changes


def curl(stack: Stack, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Send it with curl, from standard input: in curl's own arguments everybody could read the token."""
    require(shutil.which("curl") is not None, "curl")
    arguments = ["curl", "--silent", "--show-error", "--fail-with-body", "-X", "POST", f"{stack.urls['api']}/retrain"]
    arguments += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
    done = subprocess.run(
        arguments, input=json.dumps(sent), capture_output=True, text=True, timeout=CURL_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(done.stdout))


@contextmanager
def seen_from_containers(network: str, port: int) -> Iterator[None]:
    """Let trainings reach a port of this machine's loopback address as host.docker.internal."""
    address = bridge_address(os.environ, network)
    if address is None:  # a Docker that forwards that name to loopback by itself
        yield
        return
    loop = asyncio.new_event_loop()
    task = loop.create_task(forward(address, port))
    thread = threading.Thread(target=_run, args=(loop, task))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


def _run(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    with suppress(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


@contextmanager
def git_host(root: Path, secret: Secret) -> Iterator[GitServer]:
    with GitServer(root, secret.username, secret.password) as server:
        yield server


def traces(secret: Secret, stack: Stack, job: Mapping[str, Any]) -> dict[str, list[str]]:
    """Every place where the secret can be found, on this machine and in what the service answers."""
    return {
        "files of the stack": files_with(secret, stack.folder),
        "processes' environments": environments_with(secret, stack.processes()),
        "answers of the API": answers_with(secret, stack, job),
    }


def nowhere(found: Mapping[str, list[str]]) -> bool:
    """Whether it is in none of the places."""
    return not any(found.values())


@pytest.mark.parametrize(
    ("secret", "location"),
    [(PASSWORD, "path/to/MLproject/directoy"), (TOKEN, "")],
    ids=["user and password", "token as the user's name"],
)
def test_it_trains_and_its_password_is_nowhere(
    secret: Secret, location: str, docker_stack: Stack, tmp_path: Path
) -> None:
    sampler = ArgumentSampler(secret)
    files = {"MLproject": mlproject("sh train.sh"), "train.sh": NOSY}
    with git_host(tmp_path / "host", secret) as server, sampler.sampling():
        server.create("iris", {f"{location}/{name}".lstrip("/"): text for name, text in files.items()})
        job = curl(docker_stack, body(server.url("iris", with_credentials=True), MLproject_location=location))
        docker_stack.wait_running(job)
        wait_until(lambda: "RETRAIN_JOB_ID=" in docker_stack.job_log(job), what="the training's output")
        (container,) = docker_stack.containers()
        assert docker_with(secret, docker_stack) == []
        during = traces(secret, docker_stack, job)
        let_go(container)
        ended = docker_stack.wait(job)
    assert ended["state"] == "succeeded", ended["reason"]
    assert any(server.authorizations("iris"))
    assert ended["request"]["git_uri"] == server.url("iris")
    assert ("[core]" in docker_stack.job_log(job)) == (location == "")
    assert nowhere(during), during
    after = traces(secret, docker_stack, job) | {"MLflow": runs_with(secret, docker_stack, job)}
    assert nowhere(after), after
    assert sampler.found == set()
    assert "git" in sampler.programs
    # The search itself works: what is no secret is found in these places.
    known = traces(Secret("name_of_experiment", ""), docker_stack, job)
    assert "data/mlflow/mlflow.db" in known["files of the stack"]
    assert any(name.startswith("data/jobs.db") for name in known["files of the stack"])  # or still in its -wal
    assert len(known["answers of the API"]) > 1
    assert any("[core]" in text for text in git_configurations(docker_stack.data / "mirrors"))


def test_a_wrong_password_fails_with_git_auth_failed_and_is_nowhere(docker_stack: Stack, tmp_path: Path) -> None:
    wrong = Secret("retrain-bot", "wrong-Hj38sKq0")
    sampler = ArgumentSampler(wrong)
    with GitServer(tmp_path / "host", "retrain-bot", "right") as server, sampler.sampling():
        server.create("iris", {"MLproject": mlproject("true")})
        address = server.url("iris").replace("://", f"://{wrong.username}:{wrong.password}@")
        job = curl(docker_stack, body(address, MLproject_location="", retry={"max_attempts": 1}))
        ended = docker_stack.wait(job)
    assert (ended["state"], ended["reason"]["code"]) == ("failed", "GIT_AUTH_FAILED"), ended
    found = traces(wrong, docker_stack, job)
    assert nowhere(found), found
    assert sampler.found == set()


DATASET_PARAMETER = "{dataset_repo: {type: string, default: not_used}}"
# What git does with the files, in an image without git.
READ_DATA = f"""import base64, configparser, os, sys, time, urllib.error, urllib.request

file, login = os.environ["GIT_CONFIG_GLOBAL"], os.environ["RETRAIN_GIT_LOGIN_FILE"]
for each in (file, login):
    print("mode", oct(os.stat(each).st_mode & 0o777), open(each).read(), os.environ, flush=True)
config = configparser.ConfigParser(strict=False)
config.read(file)
section = next(name for name in config.sections() if name.startswith('credential "'))
assert sys.argv[1].startswith(section[12:-1]), section
given = dict(line.split("=", 1) for line in open(login).read().splitlines())
pair = base64.b64encode(f"{{given['username']}}:{{given['password']}}".encode()).decode()
address = sys.argv[1] + "/info/refs?service=git-upload-pack"
try:
    urllib.request.urlopen(address, timeout=20)
except urllib.error.HTTPError as error:
    assert error.code == 401
request = urllib.request.Request(address, headers={{"Authorization": "Basic " + pair}})
print("the git host answered", urllib.request.urlopen(request, timeout=20).status, flush=True)
while not os.path.exists({GO!r}):
    time.sleep(0.1)
"""


def test_a_token_for_the_data_reaches_the_training_by_a_private_file_only(docker_stack: Stack, tmp_path: Path) -> None:
    sampler = ArgumentSampler(TOKEN)
    with (
        git_host(tmp_path / "host", TOKEN) as server,
        seen_from_containers(docker_stack.network, server.port),
        sampler.sampling(),
    ):
        server.create("data", {"data.csv": "1,2"})
        files = {"MLproject": mlproject("python train.py {dataset_repo}", parameters=DATASET_PARAMETER)}
        project = repository(tmp_path / "project", files | {"train.py": READ_DATA})
        clean = server.url("data").replace("127.0.0.1", "host.docker.internal")
        dataset = clean.replace("://", f"://{TOKEN.username}@")
        job = curl(docker_stack, body(project, MLproject_location="", dataset_uri=dataset))
        docker_stack.wait_running(job)
        wait_until(lambda: "git host answered 200" in docker_stack.job_log(job), what="the data's git host")
        (container,) = docker_stack.containers()
        assert docker_with(TOKEN, docker_stack) == []
        during = traces(TOKEN, docker_stack, job)
        let_go(container)
        ended = docker_stack.wait(job)
    assert ended["state"] == "succeeded", ended["reason"]
    assert ended["request"]["dataset_repo"] == clean
    assert docker_stack.job_log(job).count("mode 0o600") == 2
    after = traces(TOKEN, docker_stack, job) | {"MLflow": runs_with(TOKEN, docker_stack, job)}
    assert nowhere(during), during
    assert nowhere(after), after
    assert sampler.found == set()


def test_a_training_clones_private_data_with_git(process_stack: Stack, tmp_path: Path) -> None:
    with git_host(tmp_path / "host", TOKEN) as server:
        server.create("data", {"data.csv": "1,2"})
        command = "git clone --quiet {dataset_repo} data && cat data/data.csv data/.git/config"
        project = repository(tmp_path / "project", {"MLproject": mlproject(command, parameters=DATASET_PARAMETER)})
        dataset = server.url("data", with_credentials=True)
        ended = process_stack.wait(curl(process_stack, body(project, MLproject_location="", dataset_uri=dataset)))
    assert ended["state"] == "succeeded", (ended["reason"], process_stack.job_log(ended))
    assert process_stack.job_log(ended).startswith("1,2")
    found = traces(TOKEN, process_stack, ended) | {"MLflow": runs_with(TOKEN, process_stack, ended)}
    assert nowhere(found), found
