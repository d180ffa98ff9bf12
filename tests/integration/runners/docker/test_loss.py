"""Containers that are killed, removed or half made, their logs, and an engine that comes and goes."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import docker
import pytest

from shared.errors import Code
from shared.settings import Settings
from tests.integration.runners.docker.conftest import HOST, IMAGE, MIB, error_of, read_all, wait
from tests.support.network.cuttable import CuttableEngine, cuttable_engine
from tests.support.waiting import wait_until
from worker.runners.docker.kind import Docker
from worker.runners.docker.runner import DockerRunner
from worker.runners.seam import PROJECT_FOLDER, AttemptSpec, Exit, Handle


def log_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "attempt-log"]


def test_a_container_killed_by_hand_ended_with_137(
    runner: DockerRunner, engine: docker.DockerClient, spec: Callable[..., AttemptSpec]
) -> None:
    handle = runner.start_or_attach(spec("echo began; sleep 60"))
    wait_until(lambda: runner.read_log(handle, 0), what="the command's first line")
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


def test_two_stacks_on_one_engine_with_one_worker_host_and_one_database_address_keep_to_their_own(
    engine: docker.DockerClient, spec: Callable[..., AttemptSpec], tmp_path: Path
) -> None:
    stacks = []
    for name in ("one", "other"):  # as the Compose file has it, but each with a DATA_DIR and a secret key of its own
        address = f"postgresql://retrain:{name}@postgres:5432/retrain"
        settings = Settings(_env_file=None, database_url=address, worker_host=HOST, data_dir=tmp_path / name)
        stacks.append(Docker.from_settings(settings, os.environ))
    one, other = stacks
    with closing(one), closing(other):
        handle = one.start_or_attach(spec("sleep 60"))
        try:
            assert other.list_mine() == []
            assert [mine.id for mine in one.list_mine()] == [handle.id]
        finally:
            one.remove(handle)


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
    with cuttable_engine() as way:
        yield way


def test_the_engine_is_asked_only_for_what_a_short_attempt_needs(
    cuttable: CuttableEngine, spec: Callable[..., AttemptSpec]
) -> None:
    with closing(DockerRunner({"DOCKER_HOST": cuttable.url}, host=HOST)) as remote:
        image = remote.prepare_image(IMAGE, timeout_seconds=60)
        assert image is not None
        handle = remote.start_or_attach(spec("true", image=image.id))
        wait_until(lambda: remote.poll(handle), what="the end")
        del cuttable.asked[:-2]  # the last look, and the one for the proof that the command began
        assert remote.unkept_bytes(handle) == 0
        assert read_all(remote, handle) == b""
        remote.stop(handle, grace_seconds=1)
        remote.remove(handle)
    place = f"/containers/{handle.id}"
    assert cuttable.asked == [
        f"GET {place}/json",
        f"HEAD {place}/archive",
        f"GET {place}/logs",
        f"DELETE {place}",
    ]


def test_an_attempt_is_started_by_three_requests(cuttable: CuttableEngine, spec: Callable[..., AttemptSpec]) -> None:
    with closing(DockerRunner({"DOCKER_HOST": cuttable.url}, host=HOST)) as remote:
        image = remote.prepare_image(IMAGE, timeout_seconds=60)
        assert image is not None
        cuttable.asked.clear()
        handle = remote.start_or_attach(spec("true", image=image.id))
        place = f"/containers/{handle.id}"
        assert cuttable.asked == ["POST /containers/create", f"PUT {place}/archive", f"POST {place}/start"]
        remote.remove(handle)


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
    cuttable.cut_for_good()
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
