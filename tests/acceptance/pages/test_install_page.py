"""docs/operate/install.md, followed word for word: from a clone to the first job, which is the README's own project.

Then docs/operate/uninstall.md, while something trains.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.acceptance.support.checkout import ENVIRONMENT, ROOT, fresh_clone
from tests.acceptance.support.pages import Block, Done, marked_blocks, run_all
from tests.support.engines import docker_or_skip, require
from tests.support.network.forwarding import forwarding
from tests.support.servers.compose import Compose
from tests.support.servers.git_server import GitServer
from worker.runners.docker.networks import bridge_address

pytestmark = pytest.mark.timeout(900)  # the images' first build downloads all that they are made of

README, PAGE, END = ROOT / "README.md", ROOT / "docs/operate/install.md", ROOT / "docs/operate/uninstall.md"
PAGE_SECONDS = 850
SLOW = {"experiment_name": "slow"}
Push = Callable[[str, dict[str, str | bytes]], str]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    """A clone in which the example of .env keeps what is made of it apart from every other stack."""
    docker_or_skip().close()
    require(shutil.which("curl") is not None, "curl")
    clone = fresh_clone(tmp_path_factory.mktemp("install") / "automated-training")
    made = Compose(clone, clone / "deploy")
    yield made
    made.clean()


@pytest.fixture(scope="module")
def push(stack: Compose) -> Iterator[Push]:
    """Makes a repository on a git server in the place of GitHub; its address."""
    address = bridge_address(os.environ)
    assert address
    with GitServer(stack.checkout.parent / "git") as server, forwarding(address, server.port):
        yield lambda name, files: server.create(name, files).uri.replace("127.0.0.1", address)


@pytest.fixture(scope="module")
def followed(stack: Compose, push: Push) -> list[Done]:
    """What the page's commands printed."""
    image = f"{stack.name}-iris:1"
    words = {
        "https://github.com/user/iris.git": push("iris", own_project(stack.checkout, image)),
        "retrain.example.com": "127.0.0.1",
        "5005": str(stack.api_port),
        "5007": str(stack.mlflow_port),
        "iris:1": image,
    }
    keep_apart(stack)
    return follow(PAGE, words, stack.checkout.parent)


def follow(page: Path, words: dict[str, str], folder: Path) -> list[Done]:
    """Do what a page says, with words of this test's own."""
    blocks = [replaced(block, words) for block in marked_blocks(page)]
    environment = {**os.environ, **ENVIRONMENT, "HOME": os.environ["HOME"], "PATH": os.environ["PATH"]}
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        environment.pop(name, None)
    return run_all(blocks, folder=folder, environment=environment, seconds=PAGE_SECONDS)


def own_project(checkout: Path, image: str) -> dict[str, str | bytes]:
    """The files of the README's project, with the image under a name of this test's own."""
    files = {block.title: block.text for block in marked_blocks(README) if block.title}
    package = {
        path.relative_to(checkout).as_posix(): path.read_text() for path in (checkout / "mypackage").rglob("*.py")
    }
    return {**files, "MLproject": files["MLproject"].replace("iris:1", image), **package}


def keep_apart(stack: Compose) -> None:
    """Write into the example of .env what another stack on this host must not share, and that git is on this one."""
    lines = [
        f"COMPOSE_PROJECT_NAME={stack.name}",
        f"RETRAIN_IMAGE={stack.name}",
        f"TRAINING_NETWORK={stack.name}-training",
        f"TRAINING_BRIDGE={stack.name}",
        f"WORKER_HOST={stack.name}",
        f"API_PUBLISH={stack.api_port}",
        f"MLFLOW_PUBLISH={stack.mlflow_port}",
        f"FLOWER_PUBLISH=127.0.0.1:{stack.flower_port}",
        "GIT_SCHEMES=http",
        "GIT_PRIVATE_NETWORKS=true",
    ]
    with (stack.folder / ".env.example").open("a") as example:
        example.write("\n".join(lines) + "\n")


def replaced(block: Block, words: dict[str, str]) -> Block:
    text = block.text
    for usual, ours in words.items():
        text = text.replace(usual, ours)
    return replace(block, text=text)


def test_the_page_leads_from_a_clone_to_a_champion(followed: list[Done], stack: Compose) -> None:
    checked, first_job = followed[3].output, followed[-1].output
    assert f'"host":"{stack.name}"' in checked.replace(" ", "")
    assert "FAILURE" not in checked
    assert stack.name in followed[4].output
    assert "promoted: first version of 'iris'" in first_job
    [job] = stack.get("/jobs?model=iris").json()["jobs"]
    assert job["state"] == "succeeded"


def test_links_lead_where_people_are(followed: list[Done], stack: Compose) -> None:
    assert followed
    [job] = stack.get("/jobs?model=iris").json()["jobs"]
    shown = stack.get(f"/jobs/{job['id']}").text
    assert stack.mlflow_url in shown
    assert "http://mlflow:" not in shown


def test_uninstalled_as_the_page_says_nothing_of_it_stays(followed: list[Done], stack: Compose, push: Push) -> None:
    assert followed
    project = (
        f"name: slow\ndocker_env: {{image: {stack.name}-iris:1}}\nentry_points: {{main: {{command: sleep 600}}}}\n"
    )
    stack.wait(stack.post("/retrain", {"git_uri": push("slow", {"MLproject": project}), **SLOW}), "running")
    follow(END, {"worker-1": stack.name}, stack.folder)
    client = docker_or_skip()
    try:
        ours = [*client.containers.list(all=True), *client.networks.list(), *client.volumes.list()]
        assert not [each.attrs["Name"] for each in ours if stack.name in each.attrs["Name"]]
    finally:
        client.close()
    assert stack.training() == []
    assert not (stack.folder / ".env").exists()
