"""Packs a project and its private files for a container, owned by the image's user."""

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

from worker.interruption import NEVER, Interruption
from worker.runners.docker.project_files import ProjectFiles
from worker.runners.launch import START
from worker.runners.seam import PROJECT_FOLDER, AttemptSpec

PRIVATE_FOLDER = "/run/retrain"
MAX_ID_DIGITS = 10  # an image may contain anything; ids have 32 bits


@dataclass(frozen=True)
class Owner:
    """The owner of files in a container."""

    uid: int = 0
    gid: int = 0


def find_owner(user: str, *, passwd: str, group: str) -> Owner:
    """Return which user an image's USER means, as the engine reads it; root if that is unclear."""
    user_name, _, group_name = user.partition(":")
    entries = [line.split(":") for line in passwd.splitlines() if line.count(":") >= 3]
    entry = next((entry for entry in entries if user_name in (entry[0], entry[2])), None)
    uid = entry[2] if entry else user_name
    gid = group_name or (entry[3] if entry else "0")
    groups = {line.split(":")[0]: line.split(":")[2] for line in group.splitlines() if line.count(":") >= 2}
    return Owner(uid=_number(uid), gid=_number(groups.get(gid, gid)))


def start_folder(name: str) -> str:
    """Return the folder of an attempt's start script: its own, because images are made from containers, too."""
    return f"/run/{name}"


def write_archive(
    archive: IO[bytes],
    spec: AttemptSpec,
    owner: Owner,
    interruption: Interruption = NEVER,
    *,
    start: bytes,
    under: str = "/",
    home: str = "",
) -> None:
    """Write a tar for one of the container's folders; the script that starts the attempt is in one of them.

    All users of the container may use that script's folder, because an ENTRYPOINT may switch to another user, who then
    adds the proof of start. The archive has no entry for the folders above the project: the engine creates missing
    ones, and would give existing ones our owner and mode.
    """

    def normalise(member: tarfile.TarInfo) -> tarfile.TarInfo:
        """Keep only what git keeps of the mode, so that this host's umask and users do not show in the container."""
        interruption.check()
        is_open = member.isdir() or member.mode & 0o100
        return _owned(member, owner, mode=0o755 if is_open else 0o644)

    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        if PROJECT_FOLDER.startswith(under):
            files = ProjectFiles(tar, spec.repository or spec.source, own=normalise)
            files.add(spec.source, PROJECT_FOLDER.removeprefix(under).lstrip("/"))
        for folder in _service_folders(spec, start, home):
            if folder.path.startswith(under):
                _add_folder(tar, folder, folder.path.removeprefix(under).lstrip("/"), owner)


@dataclass(frozen=True)
class _Folder:
    path: str
    mode: int
    files: Mapping[str, bytes] = field(default_factory=dict)
    mode_of_files: int = 0


def _service_folders(spec: AttemptSpec, start: bytes, home: str) -> Iterator[_Folder]:
    yield _Folder(start_folder(spec.name), 0o1777, {START: start}, 0o755)
    if spec.private_files:
        yield _Folder(PRIVATE_FOLDER, 0o700, spec.private_files, 0o600)
    if home:
        yield _Folder(home, 0o700)


def owned_folder(name: str, owner: Owner) -> bytes:
    """Return a tar with a folder that belongs to the training; where it exists, nothing in it changes."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add_folder(tar, _Folder(name, 0o755), name, owner)
    return archive.getvalue()


def _add_folder(tar: tarfile.TarFile, added: _Folder, name: str, owner: Owner) -> None:
    folder = tarfile.TarInfo(name)
    folder.type = tarfile.DIRTYPE
    tar.addfile(_owned(folder, owner, mode=added.mode))
    for file, content in added.files.items():
        member = tarfile.TarInfo(f"{name}/{file}")
        member.size = len(content)
        tar.addfile(_owned(member, owner, mode=added.mode_of_files), io.BytesIO(content))


def _owned(member: tarfile.TarInfo, owner: Owner, *, mode: int) -> tarfile.TarInfo:
    member.uid, member.gid = owner.uid, owner.gid
    member.uname = member.gname = ""
    member.mode = mode
    return member


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= MAX_ID_DIGITS else 0
