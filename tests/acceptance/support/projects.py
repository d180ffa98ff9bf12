"""Small projects that tests train: a shell command each, since an interpreter's start would be most of the time."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.acceptance.support.checkout import git

IMAGE = "python:3.11-slim"
GO = "/tmp/go"  # a training that waits for it ends when the test makes it
WAIT_FOR_GO = f"while [ ! -e {GO} ]; do sleep 0.1; done"


def mlproject(command: str, *, image: str = IMAGE, parameters: str = "{}") -> str:
    """An MLproject file with one entry point."""
    return f"""\
name: tiny
docker_env:
  image: {image}
entry_points:
  main:
    parameters: {parameters}
    command: {command!r}
"""


def repository(folder: Path, files: Mapping[str, str]) -> str:
    """Make a git repository with one commit on main; its address."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    git("init", "--quiet", "--initial-branch=main", str(folder))
    git("-C", str(folder), "add", ".")
    git("-C", str(folder), "commit", "--quiet", "--message", "First")
    return f"file://{folder}"


def let_go(container: Any) -> None:
    """Let a training that waits for it end."""
    code, output = container.exec_run(["touch", GO])
    # None: a busy engine has not recorded the end of the exec yet, which closed its output.
    # 137: the training saw the file and ended, and with it the container and all in it, before touch did.
    assert code in (0, None, 137), f"{code}: {output!r}"
