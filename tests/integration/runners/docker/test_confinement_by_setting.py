"""What an operator's settings take from a container besides: another user, a read-only image, another runtime."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from shared.errors import Code, InfrastructureError
from tests.integration.runners.docker.conftest import HOST, MIB, error_of, read_all, run, wait
from worker.runners.docker.confinement import Confinement
from worker.runners.docker.runner import DockerRunner
from worker.runners.seam import AttemptSpec, Volume

USER = "4321:4322"
WHO = "id -u; id -g; echo $HOME; python3 -c 'import getpass; print(getpass.getuser())'"
WRITES = (
    "echo a > own && mkdir -p $HOME/.cache && echo b > $HOME/.cache/x && echo c > $(mktemp) && cat $T && echo wrote"
)


@contextmanager
def confined(**chosen: object) -> Iterator[DockerRunner]:
    runner = DockerRunner(os.environ, host=HOST, confinement=Confinement(**chosen))  # type: ignore[arg-type]
    try:
        yield runner
    finally:
        for handle in runner.list_mine():
            runner.remove(handle)
        runner.close()


@pytest.mark.parametrize("read_only_root", [False, True])
@pytest.mark.parametrize("user", ["", USER])
def test_training_writes_where_it_needs_to(
    spec: Callable[..., AttemptSpec], tmp_path: Path, user: str, read_only_root: bool
) -> None:
    (tmp_path / "train.py").write_text("print('trained')")
    private = {"private_files": {"t": b"lent\n"}, "private_env": {"t": "T"}, "memory_bytes": 64 * MIB}
    with confined(user=user, read_only_root=read_only_root) as runner:
        code, log = run(runner, spec(f"{WRITES} && echo >> train.py && python3 train.py", **private))
    assert (code, log.split()) == (0, ["lent", "wrote", "trained"])


def test_without_rights_of_its_own_an_image_runs_as_the_operator_s_user(spec: Callable[..., AttemptSpec]) -> None:
    with confined(user=USER) as runner:
        code, log = run(runner, spec(f"{WHO}; grep CapEff /proc/self/status; touch /etc/x 2>&1 || echo refused"))
    assert code == 0
    assert log.split()[:5] == ["4321", "4322", "/mlflow/projects/home", "training", "CapEff:"]
    assert "0000000000000000" in log
    assert "refused" in log


@pytest.mark.parametrize(
    ("lines", "runs_as"),
    [
        ("USER 1234", "1234"),
        ("USER nobody", "4321"),  # the image itself says which number a name has
        ("RUN sed -i s/^root/toor/ /etc/passwd\nUSER toor", "4321"),
        ("USER 0", "4321"),
        ("USER 00:5", "4321"),
    ],
)
def test_only_a_number_counts_as_a_user_of_the_image(
    spec: Callable[..., AttemptSpec], image: Callable[[str], str], lines: str, runs_as: str
) -> None:
    with confined(user=USER) as runner:
        assert run(runner, spec("id -u && echo a > own", image=image(lines))) == (0, f"{runs_as}\n")


def test_of_a_read_only_image_training_changes_nothing_and_nothing_is_left_of_its_volumes(
    spec: Callable[..., AttemptSpec], engine: docker.DockerClient
) -> None:
    command = "for f in /etc/x /usr/bin/python3 /x /root/x /opt/x; do echo a 2>/dev/null > $f || echo refused; done"
    with confined(read_only_root=True) as runner:
        handle = runner.start_or_attach(spec(f"({command}) 2>/dev/null"))
        wait(runner, handle)
        assert read_all(runner, handle) == b"refused\n" * 5
        mounts = engine.api.inspect_container(handle.id)["Mounts"]
        assert sorted(each["Destination"] for each in mounts) == ["/mlflow/projects", "/run", "/tmp", "/var/tmp"]
    left = {each.name for each in engine.volumes.list()}
    assert not left & {each["Name"] for each in mounts}


def test_what_is_written_into_a_volume_of_its_own_counts_as_written(
    spec: Callable[..., AttemptSpec], image: Callable[[str], str], runner: DockerRunner
) -> None:
    fills = "head -c 20000000 /dev/zero > /data/x; echo filled; sleep 60"
    handle = runner.start_or_attach(spec(fills, image=image("VOLUME /data")))
    while b"filled" not in read_all(runner, handle):
        assert runner.poll(handle) is None
    assert runner.disk_bytes(handle) > 19 * MIB
    assert runner.disk_bytes(runner.start_or_attach(spec("sleep 60"))) < MIB


@pytest.mark.parametrize(("user", "read_only_root"), [("", False), (USER, True)])
def test_a_cache_of_its_own_can_be_written_by_whoever_trains(
    spec: Callable[..., AttemptSpec], user: str, read_only_root: bool
) -> None:
    name = f"test-{secrets.token_hex(4)}"
    cache = Volume(name, "/mnt/cache", own_folder="own")
    try:
        with confined(user=user, read_only_root=read_only_root) as runner:
            assert run(runner, spec("mkdir /mnt/cache/own/entries && echo made", volumes=[cache]))[0] == 0
            again = run(runner, spec("ls /mnt/cache/own; rmdir /mnt/cache/own/entries", volumes=[cache]))
        assert again == (0, "entries\n")
    finally:
        client = docker.from_env()
        client.volumes.get(name).remove()
        client.close()


def test_a_runtime_that_the_engine_does_not_know_is_the_operator_s_to_mend(spec: Callable[..., AttemptSpec]) -> None:
    with confined(runtime="test-unknown") as runner:
        error = error_of(lambda: runner.start_or_attach(spec("true")))
        assert runner.list_mine() == []
    assert isinstance(error, InfrastructureError)
    assert error.code is Code.CONTAINER_FAILED
    assert "CONTAINER_RUNTIME" in error.message
