"""What a container may do and use: security, limits, devices, volumes and networks."""

import secrets
import shlex
from collections.abc import Callable

import docker
import psutil
import pytest

from shared.errors import Code, InfrastructureError, UserError
from tests.integration.runners.docker.conftest import HOST, IMAGE, MIB, error_of, run, wait
from tests.support.engines import require
from worker.runners.docker.options import CAPABILITIES, container_options
from worker.runners.docker.runner import DockerRunner
from worker.runners.seam import AttemptSpec, Exit, Volume


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


def test_a_setuid_program_gives_no_rights(
    runner: DockerRunner, spec: Callable[..., AttemptSpec], image: Callable[[str], str]
) -> None:
    own = image("RUN cp /usr/bin/id /usr/bin/as-root && chmod u+s /usr/bin/as-root\nUSER nobody")
    command = "as-root -u; grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status"
    code, log = run(runner, spec(command, image=own))
    assert (code, log.split()) == (0, ["65534", "NoNewPrivs:", "1", "Seccomp:", "2"])


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
