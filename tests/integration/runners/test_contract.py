"""What every runner does, whatever runs the command. The fake is held to what the seam promises."""

import shlex
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from shared.errors import AttemptError, Code
from tests.fakes.runner import Script
from tests.support.runner_bench import HANDLES_SIGTERM, IMAGE, KINDS, REAL_KINDS, Bench, open_bench
from worker.runners.private_files import private_files
from worker.runners.seam import Exit

LINES = b"".join(b"%d\n" % number for number in range(1, 5001))


@pytest.fixture(params=KINDS)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    yield from open_bench(request.param, tmp_path)


@pytest.fixture(params=REAL_KINDS)
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """A runner that runs commands; the fake has nothing to say about what they see."""
    yield from open_bench(request.param, tmp_path)


def code_of(call: Callable[[], object]) -> Code:
    with pytest.raises(AttemptError) as caught:
        call()
    return caught.value.code


@pytest.mark.parametrize("exit_code", [0, 3])
def test_a_command_gives_its_output_and_its_exit_code(bench: Bench, exit_code: int) -> None:
    script = Script(outputs=[b"out\n", b"err\n"], exit=Exit(exit_code))
    handle = bench.start(f"echo out; sleep 0.1; echo err >&2; exit {exit_code}", script)
    assert bench.wait(handle) == Exit(exit_code=exit_code, oom_killed=False)
    assert bench.log(handle) == b"out\nerr\n"


def test_fast_output_comes_exact(bench: Bench) -> None:
    handle = bench.start("i=1; while [ $i -le 5000 ]; do echo $i; i=$((i+1)); done", Script(outputs=[LINES]))
    bench.wait(handle)
    assert bench.log(handle) == LINES


def test_a_log_is_read_while_it_is_written_without_gap_or_repeat(bench: Bench) -> None:
    script = Script(outputs=[b"%d\n" % number for number in range(1, 301)])
    handle = bench.start("i=1; while [ $i -le 300 ]; do echo $i; i=$((i+1)); sleep 0.005; done", script)
    log = b""
    while bench.runner.poll(handle) is None:
        log += bench.runner.read_log(handle, len(log))
    log += bench.log(handle, len(log))
    assert log.split() == [b"%d" % number for number in range(1, 301)]


def test_a_restarted_worker_goes_on_in_the_middle_of_the_log(bench: Bench) -> None:
    script = Script(outputs=[b"%d\n" % number for number in range(1, 101)])
    handle = bench.start("i=1; while [ $i -le 100 ]; do echo $i; i=$((i+1)); sleep 0.02; done", script)
    log = bench.wait_for_log(handle, b"20\n")
    restarted = bench.restarted()
    assert restarted.attach(handle.name) == handle
    while restarted.poll(handle) is None:
        log += restarted.read_log(handle, len(log))
    log += bench.log(handle, len(log), runner=restarted)
    restarted.remove(handle)
    assert log.split() == [b"%d" % number for number in range(1, 101)]


@pytest.mark.parametrize("offset", [0, 1, 2, 9, 10])
def test_an_ended_log_is_read_from_any_offset_and_again(bench: Bench, offset: int) -> None:
    handle = bench.start("echo 012345678", Script(outputs=[b"012345678\n"]))
    bench.wait(handle)
    assert bench.log(handle, offset) == b"012345678\n"[offset:]
    assert bench.log(handle, offset, runner=bench.restarted()) == b"012345678\n"[offset:]


def test_a_last_line_without_newline_is_not_lost(bench: Bench) -> None:
    handle = bench.start("printf 'a\\n\\000b'", Script(outputs=[b"a\n\0b"]))
    bench.wait(handle)
    assert bench.log(handle) == b"a\n\0b"


def test_a_log_that_was_closed_keeps_no_thread_and_is_read_on(bench: Bench) -> None:
    handle = bench.start("echo 012345678; exec sleep 60", Script(outputs=[b"012345678\n"], hangs=True))
    bench.wait_for_log(handle, b"8\n")
    bench.runner.close_log(handle)
    bench.runner.close_log(handle)
    assert not [each for each in threading.enumerate() if each.name == "attempt-log"]
    bench.runner.stop(handle, grace_seconds=0)
    assert bench.log(handle, 5) == b"5678\n"


def test_starting_twice_starts_once(bench: Bench) -> None:
    spec = bench.spec("echo started; sleep 0.2")
    first = bench.start_spec(spec, Script(outputs=[b"started\n"]))
    assert bench.restarted().start_or_attach(spec) == first
    bench.wait(first)
    assert bench.runner.start_or_attach(spec) == first
    assert bench.log(first) == b"started\n"
    assert bench.runner.list_mine() == [first]


def test_attaching_to_a_started_attempt_finds_it_and_to_an_unknown_one_finds_none(bench: Bench) -> None:
    handle = bench.start("sleep 30", Script(hangs=True))
    assert bench.restarted().attach(handle.name) == handle
    assert bench.runner.attach("retrain-unknown-1") is None


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(bench: Bench) -> None:
    command = "trap '' TERM; echo ready; while true; do sleep 0.1; done"
    handle = bench.start(command, Script(outputs=[b"ready\n"], hangs=True, on_sigterm=None))
    bench.wait_for_log(handle, b"ready")
    began_at = time.monotonic()
    bench.runner.stop(handle, grace_seconds=1)
    assert time.monotonic() - began_at < 10
    assert bench.runner.poll(handle) == Exit(exit_code=137)


def test_a_command_that_handles_sigterm_ends_with_its_own_code_and_nothing_after_it_runs(bench: Bench) -> None:
    command = f"python3 -c {shlex.quote(HANDLES_SIGTERM.format(code=7))}; echo second"
    handle = bench.start(command, Script(outputs=[b"ready\n"], hangs=True, on_sigterm=7))
    bench.wait_for_log(handle, b"ready")
    bench.runner.stop(handle, grace_seconds=20)
    assert bench.runner.poll(handle) == Exit(exit_code=7)
    assert bench.log(handle) == b"ready\n"


def test_a_stopped_command_is_never_a_success(real: Bench) -> None:
    handle = real.start(f"python3 -c {shlex.quote(HANDLES_SIGTERM.format(code=0))} && echo second")
    real.wait_for_log(handle, b"ready")
    real.runner.stop(handle, grace_seconds=20)
    assert real.runner.poll(handle) == Exit(exit_code=143)


def test_a_command_that_does_nothing_about_sigterm_ends_by_it(bench: Bench) -> None:
    handle = bench.start("echo ready; exec sleep 60", Script(outputs=[b"ready\n"], hangs=True))
    bench.wait_for_log(handle, b"ready")
    bench.restarted().stop(handle, grace_seconds=20)
    assert bench.runner.poll(handle) == Exit(exit_code=143)


def test_stopping_what_has_ended_changes_nothing(bench: Bench) -> None:
    handle = bench.start("exit 3", Script(exit=Exit(3)))
    bench.wait(handle)
    bench.runner.stop(handle, grace_seconds=1)
    assert bench.runner.poll(handle) == Exit(exit_code=3)


def test_an_image_that_this_service_did_not_pull_stays(real: Bench) -> None:
    assert not real.runner.remove_image(IMAGE)
    assert not real.runner.remove_image("sha256:" + "0" * 64)


def test_a_disk_that_is_seen_from_here_is_a_folder_of_this_machine(real: Bench) -> None:
    real.wait(real.start("true"))
    found = real.runner.find_disk()
    assert found is None or found.is_dir()


def test_what_an_attempt_wrote_to_the_disk_is_known(real: Bench) -> None:
    handle = real.start("mkdir -p a/b; head -c 5000000 /dev/urandom > a/b/c; echo done; exec sleep 60")
    real.wait_for_log(handle, b"done")
    assert 5_000_000 <= real.runner.disk_bytes(handle) < 6_000_000
    real.runner.remove(handle)
    assert real.runner.disk_bytes(handle) == 0


def test_the_gpus_of_the_host_are_asked_for_without_harm(bench: Bench) -> None:
    assert len(set(bench.runner.find_gpus())) == len(bench.runner.find_gpus())


def test_what_is_removed_is_gone_and_can_be_stopped_and_removed_again(bench: Bench) -> None:
    handle = bench.start("true")
    bench.wait(handle)
    bench.runner.remove(handle)
    bench.runner.remove(handle)
    bench.runner.stop(handle, grace_seconds=1)
    assert bench.runner.attach(handle.name) is None
    assert code_of(lambda: bench.runner.poll(handle)) is Code.CONTAINER_LOST
    assert code_of(lambda: bench.runner.read_log(handle, 0)) is Code.CONTAINER_LOST


def test_removing_ends_what_still_runs(bench: Bench) -> None:
    handle = bench.start("sleep 60", Script(hangs=True))
    bench.runner.remove(handle)
    assert code_of(lambda: bench.restarted().poll(handle)) is Code.CONTAINER_LOST


def test_list_mine_names_what_was_started_and_not_removed(bench: Bench) -> None:
    running, ended, removed = bench.start("sleep 30", Script(hangs=True)), bench.start("true"), bench.start("true")
    bench.wait(ended)
    bench.runner.remove(removed)
    found = bench.restarted().list_mine()
    assert sorted(found, key=lambda handle: handle.name) == sorted([running, ended], key=lambda handle: handle.name)


def test_shell_features_work_inside_the_attempt(real: Bench) -> None:
    command = "echo one two | tr ' ' '\\n' | sort -r; X=3; echo $X $(echo sub) > out.txt && cat out.txt"
    assert real.run(command) == (0, "two\none\n3 sub\n")
    assert not (real.source / "out.txt").exists()


def test_what_a_command_left_running_does_not_outlive_it(real: Bench) -> None:
    handle = real.start("(sleep 0.5; echo late) & echo done")
    assert real.wait(handle).exit_code == 0
    assert real.log(handle) == b"done\n"


def test_the_environment_asked_for_reaches_the_command_and_the_worker_s_own_does_not(real: Bench) -> None:
    code, log = real.run("env", env={"MLFLOW_RUN_ID": "a b;c"})
    assert code == 0
    assert "MLFLOW_RUN_ID=a b;c\n" in log
    assert "redis://secret" not in log


def test_a_private_file_is_readable_by_the_command_alone(real: Bench) -> None:
    private: Mapping[str, Any] = {"private_files": {"token": b"s3cret"}, "private_env": {"token": "TOKEN_FILE"}}
    code, log = real.run('cat "$TOKEN_FILE"; stat -c " %a" "$TOKEN_FILE"; env', **private)
    assert code == 0
    assert log.startswith("s3cret 600\n")
    assert "s3cret" not in log.removeprefix("s3cret")


def test_what_a_private_file_exports_reaches_the_command(real: Bench) -> None:
    private = private_files({"DATA_KEY": "two\nlines $HOME 's3cret'"})
    files: Mapping[str, Any] = {"private_files": private.files, "private_env": private.variables}
    code, log = real.run(f"{private.prelude}env", **files)
    assert code == 0
    assert "DATA_KEY=two\nlines $HOME 's3cret'\n" in log


def test_the_project_s_tree_reaches_the_working_folder(real: Bench) -> None:
    (real.source / "sub folder" / "deep").mkdir(parents=True)
    (real.source / "sub folder" / "deep" / "žluť.txt").write_text("unicode")
    (real.source / "empty").mkdir()
    (real.source / "run.sh").write_text("#!/bin/sh\necho ran\n")
    (real.source / "run.sh").chmod(0o700)
    (real.source / "link").symlink_to("sub folder/deep")
    (real.source / "dangling").symlink_to("/nowhere")
    command = (
        "./run.sh && cat link/*.txt && echo && readlink link dangling && ls -A empty && touch new && find . | sort"
    )
    code, log = real.run(command, env={"LC_ALL": "C.UTF-8"})
    assert code == 0, log
    assert log.splitlines() == [
        "ran", "unicode", "sub folder/deep", "/nowhere",
        ".", "./dangling", "./empty", "./link", "./new", "./run.sh",
        "./sub folder", "./sub folder/deep", "./sub folder/deep/žluť.txt",
    ]  # fmt: skip


def test_the_source_may_go_right_after_the_start(real: Bench) -> None:
    (real.source / "late.txt").write_text("still here")
    handle = real.start("sleep 0.5; cat late.txt")
    (real.source / "late.txt").unlink()
    real.source.rmdir()
    assert real.wait(handle).exit_code == 0
    assert real.log(handle) == b"still here"
