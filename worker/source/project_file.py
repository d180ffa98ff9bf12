"""Reads the MLproject file of a commit out of a mirror, without a work tree: for a look at a job that waits.

What is neither plainly there nor plainly missing is left to the checkout, which alone sees links, submodules and LFS.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath

from shared.errors import Code, UserError
from worker.source.git import Git

NAME = "mlproject"  # in any case, as MLflow finds it
FILE, FOLDER = "blob", "tree"
LINK = "120000"
LFS_POINTER = "version https://git-lfs"
MAX_BYTES = 64 * 1024


@dataclass(frozen=True)
class ProjectFile:
    """The text of a commit's MLproject file."""

    commit_sha: str
    text: str


@dataclass(frozen=True)
class _Entry:
    mode: str
    kind: str
    name: str


def read_project_file(git: Git, mirror: str, commit_sha: str, subfolder: str) -> ProjectFile | None:
    """Return the file; None if only a checkout can tell. Raise INVALID_PROJECT if there is none."""
    parts = PurePosixPath(subfolder.strip()).parts
    if subfolder.startswith(("/", "\\")) or ".." in parts:
        return None  # the checkout says why not
    folder = ""
    for part in parts:
        found = next((each for each in _entries(git, mirror, commit_sha, folder) if each.name == part), None)
        if found is None:
            raise _none(commit_sha, subfolder)
        if found.kind != FOLDER:
            return None
        folder += f"{part}/"
    files = [
        each for each in _entries(git, mirror, commit_sha, folder) if each.name.lower() == NAME and each.kind == FILE
    ]
    if not files:
        raise _none(commit_sha, subfolder)
    if len(files) > 1 or files[0].mode == LINK:
        return None
    text = git.must(f"--git-dir={mirror}", "cat-file", "blob", f"{commit_sha}:{folder}{files[0].name}")
    return None if text.startswith(LFS_POINTER) or len(text) > MAX_BYTES else ProjectFile(commit_sha, text)


def _entries(git: Git, mirror: str, commit_sha: str, folder: str) -> list[_Entry]:
    listed = git.must(f"--git-dir={mirror}", "ls-tree", "-z", f"{commit_sha}:{folder}")
    return [_to_entry(entry) for entry in listed.split("\0") if entry]


def _to_entry(listed: str) -> _Entry:
    facts, _, name = listed.partition("\t")
    mode, kind, _sha = facts.split()
    return _Entry(mode, kind, name)


def _none(commit_sha: str, subfolder: str) -> UserError:
    where = f"its folder {subfolder[:200]!r}" if subfolder.strip() else "its top folder"
    message = f"The commit {commit_sha[:10]} has no MLproject file in {where}. Check MLproject_location."
    return UserError(Code.INVALID_PROJECT, message, subfolder=subfolder)
