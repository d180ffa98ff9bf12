"""What only containers do: images, limits, labels, security, and an engine that comes and goes."""

import io
import os
import secrets
import shlex
import tarfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from shared.errors import AttemptError, Code, InfrastructureError, UserError
from tests.support.engines import docker_or_skip, require
from tests.support.network.cuttable import CuttableEngine
from tests.support.waiting import wait_until
from worker.runners.docker.options import CAPABILITIES, container_options
from worker.runners.docker.runner import DockerRunner
from worker.runners.seam import PROJECT_FOLDER, AttemptSpec, Exit, Handle, Volume

IMAGE = "python:3.11-slim"
HOST = f"test-{secrets.token_hex(4)}"
MIB = 1024 * 1024


@pytest.fixture
def engine() -> Iterator[docker.DockerClient]:
    client = docker_or_skip()
    yield client
    client.close()


@pytest.fixture
def runner(engine: docker.DockerClient) -> Iterator[DockerRunner]:
    runner = DockerRunner(os.environ, host=HOST)
    yield runner
    for handle in runner.list_mine():
        runner.remove(handle)
    runner.close()


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., AttemptSpec]:
    def make(command: str, *, image: str | None = IMAGE, **fields: Any) -> AttemptSpec:
        job_id = secrets.token_hex(6)
        return AttemptSpec(job_id=job_id, attempt=2, image=image, command=command, source=tmp_path, **fields)

    return make


@pytest.fixture
def image(engine: docker.DockerClient) -> Iterator[Callable[[str], str]]:
    """Build an image from the lines of a Dockerfile; it is removed afterwards."""
    built: list[str] = []

    def build(lines: str) -> str:
        dockerfile = io.BytesIO(f"FROM {IMAGE}\n{lines}".encode())
        image, _ = engine.images.build(fileobj=dockerfile, tag=f"test-{secrets.token_hex(4)}", rm=True, forcerm=True)
        built.append(image.tags[0])
        return image.tags[0]

    yield build
    for tag in built:
        engine.images.remove(tag, force=True)


def wait(runner: DockerRunner, handle: Handle) -> Exit:
    found = wait_until(lambda: runner.poll(handle), timeout_seconds=60, what=f"the end of {handle.name}")
    assert found is not None
    return found


def read_all(runner: DockerRunner, handle: Handle, *, offset: int = 0) -> bytes:
    log = bytearray()
    while data := runner.read_log(handle, offset + len(log)):
        log += data
    return bytes(log)


def run(runner: DockerRunner, spec: AttemptSpec) -> tuple[int, str]:
    handle = runner.start_or_attach(spec)
    return wait(runner, handle).exit_code, read_all(runner, handle).decode()


def error_of(call: Callable[[], object]) -> AttemptError:
    with pytest.raises(AttemptError) as caught:
        call()
    return caught.value


def log_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "attempt-log"]


def test_a_container_is_named_and_labelled_for_its_attempt_and_confined(
    runner: DockerRunner, engine: docker.DockerClient, spec: Callable[..., AttemptSpec]
) -> None:
    asked = spec("true", cpus=0.5, memory_bytes=64 * MIB, private_files={"t": b"s3cret"}, private_env={"t": "T"})
    handle = runner.start_or_attach(asked)
    found = engine.api.inspect_container(handle.id)
    host = found["HostConfig"]
    assert found["Name"] == f"/retrain-{asked.job_id}-2"
    labels = {"retrain.job": asked.job_id, "retrain.attempt": "2", "retrain.host": HOST}
    assert labels.items() <= found["Config"]["Labels"].items()
    assert (host["NanoCpus"], host["Memory"], host["MemorySwap"]) == (500_000_000, 64 * MIB, 64 * MIB)
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert (host["Init"], host["Privileged"], host["AutoRemove"], host["PidsLimit"]) == (True, False, False, 4096)
    assert (host["CapDrop"], sorted(host["CapAdd"])) == (["ALL"], sorted(CAPABILITIES))
    assert (host["CpuShares"], host["OomScoreAdj"]) == (512, 500)
    assert [host[each] for each in ("PidMode", "UTSMode", "UsernsMode")] == ["", "", ""]
    assert host["IpcMode"] == "private"
    assert host["ExtraHosts"] == ["host.docker.internal:host-gateway"]
    assert host["LogConfig"]["Type"] == "json-file"
    assert "s3cret" not in str(found)


def test_beyond_its_memory_limit_a_command_is_killed_and_the_reason_is_kept(
    runner: DockerRunner, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec("python3 -c 'x = b\"x\" * 500_000_000'", memory_bytes=32 * MIB))
    ended = wait(runner, handle)
    assert ended == Exit(exit_code=137, oom_killed=True)
    assert ended.memory_bytes == 32 * MIB


def test_what_training_as_root_usually_does_still_works(runner: DockerRunner, spec: Callable[..., AttemptSpec]) -> None:
    command = """set -e
touch own && chown nobody own && chmod 600 own && echo read > own && chmod g+s own && cat own
mkdir -m 700 theirs && chown nobody theirs && setpriv --reuid=nobody --regid=nogroup --clear-groups touch theirs/x
setpriv --reuid=nobody --regid=nogroup --init-groups sleep 60 & sleep 0.5; kill $!; wait $! || echo "killed $?"
su nobody -s /bin/sh -c 'id -un'
tar cf t.tar own && tar xf t.tar
"""
    assert run(runner, spec(command)) == (0, "read\nkilled 143\nnobody\n")


def test_what_training_never_needs_is_refused(runner: DockerRunner, spec: Callable[..., AttemptSpec]) -> None:
    command = """exec 2>/dev/null; grep CapEff /proc/self/status
mknod x b 8 0 || echo no device
python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)' || echo no raw socket
chroot / true || echo no chroot
"""
    code, log = run(runner, spec(command))
    assert (code, log.splitlines()[0].split()[1]) == (0, "00000000000000fb")
    assert [line for line in log.splitlines() if line.startswith("no ")] == ["no device", "no raw socket", "no chroot"]


def test_a_fork_bomb_ends_at_the_limit_of_processes(runner: DockerRunner, spec: Callable[..., AttemptSpec]) -> None:
    code = "import os, time\nfor n in range(200):\n    if os.fork() == 0:\n        time.sleep(60)\n"
    exit_code, log = run(runner, spec(f"python3 -c {shlex.quote(code)}", pids=64))
    assert exit_code == 1
    assert "BlockingIOError" in log


def test_the_host_s_capacity_is_the_machine_s_not_the_worker_s(runner: DockerRunner) -> None:
    found = runner.find_capacity()
    assert found is not None
    assert found.memory_bytes == pytest.approx(psutil.virtual_memory().total, rel=0.05)
    assert found.cpus == psutil.cpu_count()


def test_a_container_killed_by_hand_ended_with_137(
    runner: DockerRunner, engine: docker.DockerClient, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec("sleep 60"))
    engine.api.kill(handle.id)
    assert wait(runner, handle) == Exit(exit_code=137)


def test_a_container_removed_by_hand_is_lost(
    runner: DockerRunner, engine: docker.DockerClient, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec("sleep 60"))
    assert runner.read_log(handle, 0) == b""
    engine.api.remove_container(handle.id, force=True)
    assert error_of(lambda: runner.poll(handle)).code is Code.CONTAINER_LOST
    assert error_of(lambda: runner.read_log(handle, 0)).code is Code.CONTAINER_LOST


def test_a_container_that_was_never_started_gets_all_its_files_and_starts(
    runner: DockerRunner, engine: docker.DockerClient, spec: Callable[..., AttemptSpec], tmp_path: Path
) -> None:
    (tmp_path / "train.txt").write_text("whole")
    asked = spec("cat train.txt")
    labels = {"retrain.host": HOST, "retrain.service": ""}
    half_made = engine.containers.create(
        IMAGE, ["cat", "train.txt"], name=asked.name, working_dir=PROJECT_FOLDER, labels=labels
    )
    assert runner.attach(asked.name) is None
    assert [handle.id for handle in runner.list_mine()] == [half_made.id]
    handle = runner.start_or_attach(asked)
    assert handle.id == half_made.id
    assert wait(runner, handle) == Exit(exit_code=0)
    assert read_all(runner, handle) == b"whole"


def test_gpus_are_asked_for_by_id_and_what_holds_them_is_found_by_label(
    runner: DockerRunner, engine: docker.DockerClient, spec: Callable[..., AttemptSpec]
) -> None:
    asked = spec("true", gpu_ids=("GPU-a", "GPU-b"))
    labels = {"retrain.host": HOST, "retrain.service": ""}
    made = engine.containers.create(IMAGE, ["true"], **container_options(asked, labels))
    (request,) = engine.api.inspect_container(str(made.id))["HostConfig"]["DeviceRequests"]
    assert (request["Count"], request["DeviceIDs"], request["Capabilities"]) == (0, ["GPU-a", "GPU-b"], [["gpu"]])
    assert [handle.gpu_ids for handle in runner.list_mine()] == [("GPU-a", "GPU-b")]


def test_gpus_on_an_engine_that_knows_of_none_are_the_operator_s_to_mend(
    runner: DockerRunner, spec: Callable[..., AttemptSpec]
) -> None:
    require(not runner.find_gpus(), "an engine without GPUs")
    error = error_of(lambda: runner.start_or_attach(spec("true", gpu_ids=("GPU-a",))))
    assert isinstance(error, InfrastructureError)
    assert error.code is Code.CONTAINER_FAILED
    assert runner.list_mine() == []


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


def test_a_volume_that_the_operator_allows_is_mounted(
    runner: DockerRunner, engine: docker.DockerClient, spec: Callable[..., AttemptSpec]
) -> None:
    volume = engine.volumes.create(f"test-{secrets.token_hex(4)}")
    asked = spec("touch /data/x", volumes=[Volume(source=str(volume.name), target="/data", mode="ro")])
    try:
        code, log = run(runner, asked)
    finally:
        for handle in runner.list_mine():
            runner.remove(handle)
        volume.remove()
    assert code != 0
    assert "Read-only" in log


def test_an_attempt_on_the_host_s_network_needs_no_gateway(
    runner: DockerRunner, engine: docker.DockerClient, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec("true", network="host"))
    assert engine.api.inspect_container(handle.id)["HostConfig"]["NetworkMode"] == "host"


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


def test_more_cpus_than_the_host_has_are_the_user_s_to_mend(
    runner: DockerRunner, spec: Callable[..., AttemptSpec]
) -> None:
    error = error_of(lambda: runner.start_or_attach(spec("true", cpus=100_000)))
    assert isinstance(error, UserError)
    assert error.code is Code.CONTAINER_FAILED


def test_a_network_that_is_missing_is_the_operator_s_to_mend(
    runner: DockerRunner, spec: Callable[..., AttemptSpec]
) -> None:
    error = error_of(lambda: runner.start_or_attach(spec("true", network="test-missing")))
    assert isinstance(error, InfrastructureError)
    assert error.code is Code.CONTAINER_FAILED
    assert runner.list_mine() == []


def test_a_log_far_larger_than_any_buffer_comes_whole_in_small_pieces(
    runner: DockerRunner, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec(f"yes {'x' * 90} | head -100000 | cat -n"))
    log = bytearray(runner.read_log(handle, 0))
    wait(runner, handle)
    while data := runner.read_log(handle, len(log)):
        assert len(data) <= MIB
        log += data
    assert log == b"".join(b"%6d\t%s\n" % (number, b"x" * 90) for number in range(1, 100_001))


def test_no_thread_outlives_an_attempt_or_its_runner(runner: DockerRunner, spec: Callable[..., AttemptSpec]) -> None:
    first, second = runner.start_or_attach(spec("sleep 60")), runner.start_or_attach(spec("echo x; sleep 60"))
    runner.read_log(first, 0)
    wait_until(lambda: runner.read_log(second, 0), what="output")
    assert len(log_threads()) == 2
    runner.remove(first)
    assert len(log_threads()) == 1
    runner.close()
    assert log_threads() == []
    assert runner.poll(second) is None


def test_an_ended_log_that_was_read_keeps_no_thread(runner: DockerRunner, spec: Callable[..., AttemptSpec]) -> None:
    handle = runner.start_or_attach(spec("echo x"))
    wait(runner, handle)
    assert read_all(runner, handle) == b"x\n"
    assert log_threads() == []


@pytest.fixture
def cuttable(engine: docker.DockerClient) -> Iterator[CuttableEngine]:
    path = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
    require(path.is_socket(), "Docker's socket")
    cuttable = CuttableEngine(path)
    yield cuttable
    cuttable.close()


def test_a_log_goes_on_without_gap_or_repeat_after_the_engine_went_away(
    runner: DockerRunner, cuttable: CuttableEngine, spec: Callable[..., AttemptSpec]
) -> None:
    remote = DockerRunner({"DOCKER_HOST": cuttable.url}, host=HOST)
    handle = remote.start_or_attach(spec("for i in $(seq 150); do echo $i; sleep 0.02; done"))
    log = bytearray()

    def read(until: bytes) -> bool:
        log.extend(remote.read_log(handle, len(log)))
        return until in log

    wait_until(lambda: read(b"20\n"), what="line 20")
    cuttable.is_up = False
    cuttable.cut()
    assert error_of(lambda: remote.poll(handle)).code is Code.DOCKER_UNAVAILABLE
    cuttable.is_up = True
    wait_until(lambda: read(b"60\n"), what="line 60")
    cuttable.cut()
    wait(runner, handle)
    log += read_all(remote, handle, offset=len(log))
    remote.close()
    assert log.split() == [b"%d" % number for number in range(1, 151)]


def test_an_engine_that_does_not_answer_is_unavailable_and_nothing_is_lost_by_it(
    spec: Callable[..., AttemptSpec],
) -> None:
    runner = DockerRunner({"DOCKER_HOST": "tcp://127.0.0.1:1"}, host=HOST, timeout_seconds=2)
    handle = Handle(id="0" * 64, name="retrain-x-1")
    for call in (
        lambda: runner.prepare_image(IMAGE, timeout_seconds=1),
        lambda: runner.start_or_attach(spec("true")),
        lambda: runner.attach(handle.name),
        lambda: runner.poll(handle),
        lambda: runner.read_log(handle, 0),
        lambda: runner.stop(handle, grace_seconds=1),
        lambda: runner.remove(handle),
        lambda: runner.pause(handle),
        lambda: runner.resume(handle),
        runner.list_mine,
        runner.find_disk,
    ):
        assert error_of(call).code is Code.DOCKER_UNAVAILABLE


def test_a_project_that_cannot_be_packed_says_so(
    runner: DockerRunner, spec: Callable[..., AttemptSpec], tmp_path: Path
) -> None:
    asked = spec("true")
    tmp_path.rmdir()
    error = error_of(lambda: runner.start_or_attach(asked))
    assert error.code is Code.CONTAINER_FAILED
    assert "packed" in error.message
