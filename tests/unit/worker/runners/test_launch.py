"""A step that fails where bash calls the command a success: the log says so, and nothing else changes."""

import subprocess
import time
from pathlib import Path

import pytest

from worker.project.entry_points import COMMAND_BYTES
from worker.runners.launch import END_AFTER_SIGTERM, STEP_FAILED, WATCH, WATCH_OF_PIPES, start_script


def run(command: str, folder: Path) -> tuple[int, str, str]:
    (folder / "start").write_bytes(start_script(command))
    ended = subprocess.run(["/bin/sh", folder / "start"], capture_output=True, text=True, check=False, timeout=30)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("(exit 3) | cat", 3),
        ("(exit 3) | cat > /dev/null\ntrue", 3),
        ("(exit 3)\ntrue", 3),
        ("false; true", 1),
        ("false; exit 0", 1),
        ("false | true | false; true", 1),
        ("for each in 1 2; do false; done; true", 1),
        ("set -u; false; true", 1),
        ("found=$(false); true", 1),
    ],
)
def test_a_step_that_fails_before_a_pipe_or_another_step_is_told(tmp_path: Path, command: str, code: int) -> None:
    assert run(command, tmp_path) == (0, "", f"{STEP_FAILED} {code}, and the command went on\n")


@pytest.mark.parametrize(
    "command",
    [
        "true",
        "true | cat",
        "if false; then :; fi; false || true; ! true; while false; do :; done",
        "until true; do :; done; [ -f /no ] && : || true",
        "yes | head -1 > /dev/null",
        "false",
        "true | false",
        "exit 3",
        "set -e; false; true",
        "set -euo pipefail\nfalse | true\ntrue",
        "exec true",
        "set -x 2> /dev/null; set +x; false; true",
    ],
)
def test_of_what_is_looked_after_or_ends_as_a_failure_nothing_is_told(tmp_path: Path, command: str) -> None:
    assert STEP_FAILED not in run(command, tmp_path)[2]


@pytest.mark.parametrize(
    "command",
    [
        'set a "b c"; false; echo $# "$2" $?',
        "false | true; echo ${PIPESTATUS[@]} $?",
        "trap 'echo mine' EXIT; false; true",
        "trap 'echo error' ERR; false; true",
        "trap 'echo $BASH_COMMAND' DEBUG; false | true",
        "set -a; false; true | cat; env | grep -c ^retrain",
        "set -x; false; true",
        "echo a b | cat; echo $_",
        "exit 9",
        "set -euo pipefail\necho 1\necho 2 | cat",
        "set -u; echo $nothing",
        "set -o posix; false; true",
        "set -f; shopt -s extdebug nullglob; false | true; echo *",
        "IFS=01; false | true; echo 101",
        "cd /; false; pwd",
        "set -e; exec 2>&-; false | true; echo 1",
        "f() { false; return 4; }; f",
    ],
)
def test_the_command_prints_and_ends_as_without_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    watched = run(command, tmp_path)
    monkeypatch.setattr("worker.runners.launch._watch", lambda _command: "")
    plain = run(command, tmp_path)
    without_note = "".join(line for line in watched[2].splitlines(keepends=True) if not line.startswith(STEP_FAILED))
    assert (*watched[:2], without_note) == plain


def test_a_command_of_any_words_is_looked_at_without_delay() -> None:
    started = time.monotonic()
    start_script("set " * (COMMAND_BYTES // 4))
    assert time.monotonic() - started < 1


def test_the_longest_command_still_fits_into_one_argument(tmp_path: Path) -> None:
    assert len(END_AFTER_SIGTERM + WATCH + WATCH_OF_PIPES) < 128 * 1024 - COMMAND_BYTES
    longest = "true | true # ".ljust(COMMAND_BYTES, "x")
    assert run(longest, tmp_path) == (0, "", "")
