"""What reaches a training by files that it alone reads, as a real shell exports it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.requests.lent_values import is_private
from tests.support.engines import require
from worker.runners.private_files import EXPORTS, GIT_CONFIG, PrivateFiles, private_files

PRINT = f"exec {sys.executable} -c 'import json, os; print(json.dumps(dict(os.environ)))'"
ODD = {
    "QUOTES": """it's "so" $HOME `id` \\ \\n""",
    "LINES": "-----BEGIN KEY-----\n\tabc\n\n",
    "SPACES": "  a  b ",
    "EMPTY": "",
    "UNICODE": "žluť 🔑",
    "NOT_UTF8": os.fsdecode(b"\x81\x82\xff"),
    "LIKE_OPTIONS": "-n",
}


def exported(private: PrivateFiles, folder: Path, *, shell: str = "sh", **env: str) -> dict[str, str]:
    """The environment of a command that this shell runs behind the prelude."""
    path = shutil.which(shell)
    require(path is not None, shell)
    for name, content in private.files.items():
        (folder / name).write_bytes(content)
    variables = {variable: str(folder / name) for name, variable in private.variables.items()}
    command = [str(path), "-c", private.prelude + PRINT]
    done = subprocess.run(command, env={**env, **variables}, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_every_value_reaches_the_command_as_it_is(shell: str, tmp_path: Path) -> None:
    assert exported(private_files(ODD), tmp_path, shell=shell).items() >= ODD.items()


def test_no_value_shows_outside_the_file() -> None:
    private = private_files({"DATA_KEY": "s3cret-value"})
    assert "s3cret-value" not in f"{private} {private.variables} {private.prelude}"
    assert b"s3cret-value" in private.files[EXPORTS]


def test_where_nothing_is_exported_nothing_stands_before_the_command() -> None:
    assert private_files({}) == PrivateFiles()
    private = private_files({}, of_git={GIT_CONFIG: b"[http]\n"})
    assert (private.files, private.prelude) == ({"gitconfig": b"[http]\n"}, "")


def test_a_command_does_not_start_without_its_values(tmp_path: Path) -> None:
    private = private_files({"DATA_KEY": "s3cret-value"})
    env = {private.variables[EXPORTS]: str(tmp_path / "gone")}
    done = subprocess.run(["/bin/sh", "-c", f"{private.prelude}echo ran"], env=env, capture_output=True, check=False)
    assert (done.returncode != 0, done.stdout) == (True, b"")


def test_the_git_configuration_of_the_job_goes_before_one_that_is_lent(tmp_path: Path) -> None:
    lent = {"GIT_CONFIG_GLOBAL": "/etc/worker.gitconfig"}
    assert exported(private_files(lent, of_git={GIT_CONFIG: b""}), tmp_path)["GIT_CONFIG_GLOBAL"] == str(
        tmp_path / "gitconfig"
    )
    assert exported(private_files(lent), tmp_path)["GIT_CONFIG_GLOBAL"] == "/etc/worker.gitconfig"


@pytest.mark.parametrize("name", ["DATA_KEY", "NVIDIA_API_KEY", "LD_SDK_KEY", "http_proxy", "LANGSMITH_API_KEY"])
def test_what_is_lent_is_private(name: str) -> None:
    assert is_private(name)


@pytest.mark.parametrize(
    "name", ["PATH", "LC_ALL", "LD_LIBRARY_PATH", "NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES", "UID", "my.name"]
)
def test_what_a_runtime_or_the_shell_must_have_before_the_command_is_not(name: str) -> None:
    assert not is_private(name)


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_no_name_that_is_private_stops_a_shell(shell: str, tmp_path: Path) -> None:
    done = subprocess.run([shell, "-c", "set"], capture_output=True, text=True, check=True, cwd=tmp_path, env={})
    own = {line.partition("=")[0] for line in done.stdout.splitlines() if "=" in line}
    lent = {name: "lent-value" for name in own if is_private(name)}
    assert exported(private_files(lent), tmp_path, shell=shell).items() >= lent.items()
