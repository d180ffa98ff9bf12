"""Packs a project and its private files for a container, owned by the image's user."""

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
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
    archive: IO[bytes], spec: AttemptSpec, owner: Owner, interruption: Interruption = NEVER, *, start: bytes
) -> None:
    """Write a tar for the container's root folder, with the script that starts the attempt.

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
        files = ProjectFiles(tar, spec.repository or spec.source, own=normalise)
        files.add(spec.source, PROJECT_FOLDER.lstrip("/"))
        _add_folder(tar, start_folder(spec.name), {START: start}, owner, modes=(0o1777, 0o755))
        if spec.private_files:
            _add_folder(tar, PRIVATE_FOLDER, spec.private_files, owner, modes=(0o700, 0o600))


def _add_folder(
    tar: tarfile.TarFile, path: str, files: Mapping[str, bytes], owner: Owner, *, modes: tuple[int, int]
) -> None:
    folder = tarfile.TarInfo(path.lstrip("/"))
    folder.type = tarfile.DIRTYPE
    tar.addfile(_owned(folder, owner, mode=modes[0]))
    for name, content in files.items():
        member = tarfile.TarInfo(f"{folder.name}/{name}")
        member.size = len(content)
        tar.addfile(_owned(member, owner, mode=modes[1]), io.BytesIO(content))


def _owned(member: tarfile.TarInfo, owner: Owner, *, mode: int) -> tarfile.TarInfo:
    member.uid, member.gid = owner.uid, owner.gid
    member.uname = member.gname = ""
    member.mode = mode
    return member


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= MAX_ID_DIGITS else 0
