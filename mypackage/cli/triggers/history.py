"""Reads when a git repository changed, on this side: with this machine's git and its access. Runs git."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import click

MOST_CHANGES = 2400  # of a repository, the newest; the service takes 5000
CLONE_SECONDS = 600
LOG_SECONDS = 60
SETTINGS = {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def changes_of(repository: str, *, since: datetime | str, of: str) -> list[dict[str, str]]:
    """Return the changes of its branch since then, and the last one before, as the service takes them.

    A change is a commit of the branch's own line; it counts from its committer's date. Raise UsageError if git fails.
    """
    with _clone(repository) as folder:
        first = _log(folder, "--max-count=1", f"--until={_as_text(since)}")
        return [{**each, "of": of} for each in (*first, *_log(folder, f"--since={_as_text(since)}"))]


def _log(folder: Path, *options: str) -> list[dict[str, str]]:
    asked = ["log", "--first-parent", f"--max-count={MOST_CHANGES}", "--format=%H %cI", *options, "HEAD", "--"]
    lines = [line.split(" ", 1) for line in _git(folder, *asked, seconds=LOG_SECONDS).splitlines()]
    return [{"revision": revision, "at": at} for revision, at in reversed(lines)]


@contextmanager
def _clone(repository: str) -> Iterator[Path]:
    """Give a folder with the repository: itself, if it is one of this machine, otherwise a clone without its files."""
    if Path(repository).is_dir():
        yield Path(repository)
        return
    with tempfile.TemporaryDirectory(prefix="retrain-history-") as folder:
        sparing = ["--quiet", "--bare", "--single-branch", "--filter=blob:none"]
        _git(Path(folder), "clone", *sparing, "--", repository, "history.git", seconds=CLONE_SECONDS)
        yield Path(folder) / "history.git"


def _git(folder: Path, *arguments: str, seconds: float) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**os.environ, **SETTINGS},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            check=False,
        )
    except OSError as error:
        raise click.UsageError("git cannot be run here; install it, or leave the history out.") from error
    except subprocess.TimeoutExpired as error:
        raise click.UsageError(f"git did not end within {seconds:g} s.") from error
    if done.returncode:
        raise click.UsageError(f"git could not read {_shown(arguments, folder)}: it ended with {done.returncode}.")
    return done.stdout


def _shown(arguments: tuple[str, ...], folder: Path) -> str:
    """Return which repository it was, without credentials; git's own message may have them."""
    address = arguments[-2] if arguments[0] == "clone" else str(folder)
    return urlsplit(address)._replace(netloc=urlsplit(address).netloc.rpartition("@")[2]).geturl()


def _as_text(since: datetime | str) -> str:
    return since.isoformat() if isinstance(since, datetime) else since
