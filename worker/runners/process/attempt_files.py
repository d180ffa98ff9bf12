"""Writes the files of an attempt's folder, and selects what its environment gets of the worker's."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from worker.folder_tree import remove_tree
from worker.interruption import Interruption
from worker.runners.seam import AttemptSpec

PASSED_ON = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}
    | {"http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"}
)


def passed_on(base_env: Mapping[str, str], python: Path) -> dict[str, str]:
    """Return the part of the worker's environment that every attempt gets; ``python`` comes first on its PATH."""
    env = {name: value for name, value in base_env.items() if name in PASSED_ON or name.startswith("LC_")}
    return env | {"PATH": os.pathsep.join([str(python.parent), env.get("PATH", os.defpath)])}


def write(path: Path, content: bytes) -> None:
    """Write a file that only this user can read, completely or not at all."""
    descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    Path(new).replace(path)


def copy_project(spec: AttemptSpec, folder: Path, interruption: Interruption) -> None:
    """Copy the project to ``folder/code``; a part of a repository with all of that, which may be used, too."""
    repository = (spec.repository or spec.source).resolve()
    inside = spec.source.resolve().relative_to(repository)
    if inside == Path():
        copy_whole(repository, folder / "code", interruption)
        return
    copy_whole(repository, folder / "repository", interruption)
    if not (folder / "code").is_symlink():
        (folder / "code").symlink_to(Path("repository") / inside)


def copy_whole(source: Path, target: Path, interruption: Interruption) -> None:
    """Copy a tree so that the target is complete whenever it exists; files are links where the disk has them."""
    if target.exists():
        return
    new = Path(tempfile.mkdtemp(dir=target.parent, prefix=".code."))

    def bring(one: str, to: str) -> None:
        interruption.check()
        _link_or_copy(one, to)

    try:
        shutil.copytree(source, new / "code", symlinks=True, copy_function=bring)
        (new / "code").chmod(0o700)  # a read-only folder cannot be moved
        (new / "code").rename(target)
    except OSError:
        if not target.exists():  # otherwise another start was faster
            raise
    finally:
        remove_tree(new)


def _link_or_copy(one: str, to: str) -> None:
    """Link, because a repository may be large, and what it is checked out into is removed after the start."""
    try:
        os.link(one, to)
    except OSError:  # another disk, or one without hard links
        shutil.copy2(one, to)
