"""This repository as a stranger gets it: what is committed (or about to be), and nothing that only lies here."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
GIT_SECONDS = 60
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
}


def fresh_clone(folder: Path) -> Path:
    """Clone the repository, with the changes to tracked files that are not committed yet, and this Python as .venv."""
    git("clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder))
    if changes := git("-C", str(ROOT), "diff", "--binary", "HEAD"):
        git("-C", str(folder), "apply", "--index", stdin=changes)
        git("-C", str(folder), "commit", "--quiet", "--message", "Changes that are not committed yet")
    _lend_environment(folder / ".venv")
    return folder


def git(*arguments: str, stdin: bytes = b"") -> bytes:
    """Run git without anybody's configuration."""
    trusted = ("-c", "safe.directory=*")
    done = subprocess.run(
        ["git", *trusted, *arguments],
        input=stdin,
        capture_output=True,
        env=ENVIRONMENT,
        timeout=GIT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _lend_environment(folder: Path) -> None:
    """Make a .venv that `make` takes for ready: setting one up takes minutes, and is the index's matter."""
    folder.mkdir()
    for entry in Path(sys.prefix).iterdir():
        if entry.name != "ready":
            (folder / entry.name).symlink_to(entry)
    (folder / "ready").touch()
