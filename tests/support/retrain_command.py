"""The command `retrain` as a test runs it, and a git checkout that it finds."""

import json
import os
import pty
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from mypackage.cli.main import main

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class RetrainCommand:
    """Runs the command in this process, against the service at ``url``."""

    url: str

    def __call__(self, *arguments: str, code: int = 0, **environment: str) -> Result:
        """Run it, and return what came of it when the exit code is this one."""
        result = CliRunner().invoke(main, ["--url", self.url, *arguments], env=environment)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def new_job(self, **request: Any) -> str:
        """Submit a request, and return the job's id."""
        Path("job.json").write_text(json.dumps(request))
        return str(json.loads(self("submit", "--file", "job.json", "--json").stdout)["id"])


def at_a_terminal(*arguments: str, **environment: str) -> str:
    """Run the command with a terminal as stdout, and return what that got."""
    master, slave = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "PYTHONPATH": str(ROOT), **environment}
    process = subprocess.Popen([sys.executable, "-m", "mypackage.cli", *arguments], stdout=slave, env=variables)
    os.close(slave)
    shown = b""
    try:
        while part := os.read(master, 65536):
            shown += part
    except OSError:  # Linux: the other end is closed
        pass
    os.close(master)
    assert process.wait(30) in (0, 1)
    return shown.decode()


def git(folder: Path, *arguments: str) -> str:
    """Run git without anybody's own settings."""
    settings = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    author = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    done = subprocess.run(
        ["git", *author, *arguments], cwd=folder, env={**os.environ, **settings}, check=True, capture_output=True
    )
    return done.stdout.decode().strip()


def make_checkout(folder: Path) -> Path:
    """A checkout, pushed to a repository next to it; its origin then gets the address of a host."""
    (folder / "training").mkdir(parents=True)
    (folder / "training/MLproject").write_text("name: iris\n")
    git(folder.parent, "init", "-q", "--bare", "remote.git")
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "First")
    git(folder, "remote", "add", "origin", str(folder.parent / "remote.git"))
    git(folder, "push", "-q", "origin", "main")
    git(folder, "remote", "set-url", "origin", "https://github.com/user/iris.git")
    return folder
