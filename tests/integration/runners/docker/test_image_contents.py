"""What an image brings, its environment, user, folders and shell, under an attempt."""

import io
import secrets
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from tests.integration.runners.docker.conftest import run
from worker.runners.docker.runner import DockerRunner
from worker.runners.seam import AttemptSpec


def test_an_image_that_asks_for_all_gpus_gets_none_that_its_attempt_was_not_given(
    runner: DockerRunner, spec: Callable[..., AttemptSpec], image: Callable[[str], str]
) -> None:
    asked = spec("echo $NVIDIA_VISIBLE_DEVICES", image=image("ENV NVIDIA_VISIBLE_DEVICES=all"))
    assert run(runner, replace(asked, env={"NVIDIA_VISIBLE_DEVICES": "0"})) == (0, "void\n")


def test_the_image_s_entrypoint_is_kept(
    runner: DockerRunner, spec: Callable[..., AttemptSpec], image: Callable[[str], str]
) -> None:
    name = image('ENTRYPOINT ["/usr/bin/env", "FROM_ENTRYPOINT=yes"]')
    assert run(runner, spec("echo $FROM_ENTRYPOINT", image=name)) == (0, "yes\n")


@pytest.mark.parametrize("user", ["nobody", "1234", "1234:4321", "games:users"])
def test_the_image_s_user_reads_its_private_files_and_writes_to_its_project(
    runner: DockerRunner, spec: Callable[..., AttemptSpec], image: Callable[[str], str], tmp_path: Path, user: str
) -> None:
    (tmp_path / "sub").mkdir(mode=0o700)
    asked = spec(
        'cat "$T" && touch new sub/new && stat -c %u:%g . sub "$T" | uniq && echo $(id -u):$(id -g)',
        image=image(f"USER {user}"), private_files={"t": b"s3cret\n"}, private_env={"t": "T"},
    )  # fmt: skip
    code, log = run(runner, asked)
    assert code == 0, log
    private, owner, me = log.splitlines()
    assert (private, owner) == ("s3cret", me)


@pytest.mark.parametrize(
    "change",
    [
        "ln -sf /proc/self/status /etc/passwd",
        "(yes '#' | head -c 3000000; echo t:x:1234:77::/:/bin/sh) > /etc/passwd",
        "rm /etc/passwd /etc/group",
    ],
    ids=["a link", "too large", "missing"],
)
def test_an_image_whose_users_cannot_be_read_still_starts(
    runner: DockerRunner, spec: Callable[..., AttemptSpec], image: Callable[[str], str], change: str
) -> None:
    name = image(f"RUN {change}\nUSER 1234")
    assert run(runner, spec("stat -c %u:%g .", image=name)) == (0, "1234:0\n")


def test_folders_of_the_image_keep_their_owner_and_mode(
    runner: DockerRunner, spec: Callable[..., AttemptSpec], image: Callable[[str], str]
) -> None:
    name = image("RUN mkdir -p /mlflow/projects && chown 33:44 /mlflow /mlflow/projects && chmod 1777 /mlflow /run")
    asked = spec("stat -c '%a %u' /mlflow /mlflow/projects /run", image=name, private_files={"t": b""},
                 private_env={"t": "T"})  # fmt: skip
    assert run(runner, asked) == (0, "1777 33\n755 33\n1777 0\n")


def test_an_image_without_a_shell_ends_with_127_and_its_log_says_why(
    runner: DockerRunner, engine: docker.DockerClient, spec: Callable[..., AttemptSpec]
) -> None:
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("nothing"))
    name = f"test-{secrets.token_hex(4)}"
    engine.api.import_image_from_data(tree.getvalue(), repository=name, tag="1")
    try:
        code, log = run(runner, spec("true", image=f"{name}:1"))
    finally:
        engine.images.remove(f"{name}:1", force=True)
    assert code == 127
    assert "/bin/sh" in log
