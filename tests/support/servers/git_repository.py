"""A bare repository that tests fill commit by commit, without a work tree."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

GIT_TIMEOUT_SECONDS = 60
ENVIRONMENT = {
    "PATH": os.defpath,
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Test",
    "GIT_AUTHOR_EMAIL": "test@example.com",
    "GIT_COMMITTER_NAME": "Test",
    "GIT_COMMITTER_EMAIL": "test@example.com",
}


@dataclass(frozen=True)
class RepositoryOnServer:
    """A bare repository, by the address that opens it."""

    folder: Path
    uri: str

    def commit(
        self,
        files: Mapping[str, str | bytes | None],
        message: str = "Change",
        *,
        branch: str = "main",
        symlinks: Mapping[str, str] | None = None,
        submodules: Mapping[str, str] | None = None,
        parent: str | None = None,
    ) -> str:
        """Commit on a branch and return the SHA; None removes a file, submodules maps paths to commits.

        ``parent`` makes the branch go on from there, as a force push does; "" starts it anew.
        """
        ref = f"refs/heads/{branch}"
        tip = self._find(ref) if parent is None else parent
        header = f"commit {ref}\ncommitter Test <test@example.com> now\n".encode() + _data(message)
        if parent is not None:
            header = f"reset {ref}\n\n".encode() + header
        if tip:
            header += f"from {tip}\n".encode()
        entries = [_entry("100644", path, content) for path, content in files.items()]
        entries += [_entry("120000", path, target) for path, target in (symlinks or {}).items()]
        entries += [f"M 160000 {sha} {path}\n".encode() for path, sha in (submodules or {}).items()]
        self.git("fast-import", "--quiet", "--force", "--date-format=now", stdin=header + b"".join(entries) + b"\n")
        self.git("update-server-info")
        return self.git("rev-parse", ref)

    def tag(self, name: str, *, at: str = "main", message: str | None = None) -> None:
        """Tag a commit; with a message the tag is an annotated one."""
        annotation = [] if message is None else ["-a", "-m", message]
        self.git("tag", "--force", *annotation, name, at)

    def remove_branch(self, name: str) -> None:
        """Delete a branch, as a push of nothing does."""
        self.git("update-ref", "-d", f"refs/heads/{name}")

    def git(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run git in the repository."""
        return _git("-C", str(self.folder), *arguments, stdin=stdin)

    def _find(self, ref: str) -> str:
        return self.git("for-each-ref", "--format=%(objectname)", ref)


def bare_repository(
    folder: Path, files: Mapping[str, str | bytes] | None = None, *, uri: str | None = None
) -> RepositoryOnServer:
    """Make one, with a first commit on main where there are files; its address is a file's unless another is given."""
    _git("init", "--quiet", "--bare", "--initial-branch=main", "--", str(folder))
    repository = RepositoryOnServer(folder, uri or f"file://{folder}")
    if files:
        repository.commit(files, "First")
    return repository


def _entry(mode: str, path: str, content: str | bytes | None) -> bytes:
    if content is None:
        return f"D {path}\n".encode()
    return f"M {mode} inline {path}\n".encode() + _data(content)


def _data(content: str | bytes) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    return f"data {len(raw)}\n".encode() + raw + b"\n"


def _git(*arguments: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["git", *arguments],
        input=stdin,
        env=ENVIRONMENT,
        capture_output=True,
        timeout=GIT_TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()
