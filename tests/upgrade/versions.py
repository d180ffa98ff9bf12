"""The versions: a commit of this repository, this checkout, and a later version that is this one with a field more."""

import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIT_SECONDS = 60
INSTALL_SECONDS = 300
LOCKS = ("requirements.txt", "requirements/dev.txt")  # of now, and of before there was one for all
PROGRAMS = ("api", "worker", "shared", "mypackage", "deploy")
HOST_LOCKS = ("worker/host/machine.py", "worker/machine.py")  # where it is, and where it was first
LATER_FIELD = "note"
BEFORE_IT = "    entry_point: Name = Field("


class NoSuchVersion(Exception):
    """The commit is not in this clone."""


@dataclass(frozen=True)
class Version:
    """A version of the service: the folder of its code, and those of packages that it alone needs."""

    name: str
    checkout: Path
    packages: tuple[Path, ...] = ()

    @property
    def python_path(self) -> str:
        """Its PYTHONPATH; all else is this Python's own."""
        return os.pathsep.join(map(str, (self.checkout, *self.packages)))

    @property
    def locks_its_host(self) -> bool:
        """Whether a worker of it keeps others of its name out of the machine."""
        return any((self.checkout / name).exists() for name in HOST_LOCKS)

    @property
    def schema(self) -> str:
        """The number of its last migration."""
        migrations = (self.checkout / "shared/sql/migrations/versions").rglob("[0-9]*_*.py")
        return max(file.name.partition("_")[0] for file in migrations)


THIS = Version("this", ROOT)


def check_out(commit: str, folder: Path) -> Version:
    """Unpack a commit of this repository into a new folder."""
    packed = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", str(ROOT), "archive", "--format=tar", commit],
        capture_output=True,
        timeout=GIT_SECONDS,
        check=False,
    )
    if packed.returncode != 0:
        raise NoSuchVersion(
            f"The commit {commit} cannot be read here ({packed.stderr.decode().strip()}). A clone without the whole "
            "history does not have it: git fetch --unshallow."
        )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return Version(commit, folder, _find_missing(folder))


def _find_missing(checkout: Path) -> tuple[Path, ...]:
    """A folder with the packages that the version is locked to and this one is not; none where there are none."""
    ours = set(_locked(ROOT))
    missing = [entry for pin, entry in _locked(checkout).items() if pin not in ours]
    if not missing:
        return ()
    folder, lock = (checkout.with_name(f"{checkout.name}-{what}") for what in ("packages", "lock.txt"))
    lock.write_text("\n".join(missing))
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--require-hashes",
        "--no-deps",
        "--target",
        str(folder),
    ]
    subprocess.run([*install, "--requirement", str(lock)], capture_output=True, check=True, timeout=INSTALL_SECONDS)
    return (folder,)


def _locked(checkout: Path) -> dict[str, str]:
    """What is locked, by name and version; with hashes."""
    entries = re.split(r"^(?=[A-Za-z])", _lock(checkout).read_text(), flags=re.MULTILINE)
    return {entry.split()[0]: entry for entry in entries if "==" in entry.partition("\n")[0]}


def _lock(checkout: Path) -> Path:
    return next(checkout / name for name in LOCKS if (checkout / name).exists())


def make_later(folder: Path) -> Version:
    """Copy this version and let its requests have a field that this version does not know."""
    for name in PROGRAMS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    [file] = [path for path in (folder / "shared").rglob("*.py") if BEFORE_IT in path.read_text()]
    file.write_text(file.read_text().replace(BEFORE_IT, f"    {LATER_FIELD}: StrictStr | None = None\n{BEFORE_IT}"))
    return Version("later", folder)
