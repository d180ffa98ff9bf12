"""The versions: a commit of this repository, this checkout, and a later version that is this one with a field more."""

import io
import shutil
import subprocess
import sys
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GIT_SECONDS = 60
INSTALL_SECONDS = 1200
LOCKS = ("requirements.txt", "requirements/dev.txt")  # of now, and of before there was one for all
PROGRAMS = ("api", "worker", "shared", "mypackage", "deploy")
LATER_FIELD = "note"
BEFORE_IT = "    entry_point: Name = Field("


class NoSuchVersion(Exception):
    """The commit is not in this clone."""


@dataclass(frozen=True)
class Version:
    """A version of the service: the folder of its code, and a Python with its dependencies."""

    name: str
    checkout: Path
    python: Path = Path(sys.executable)


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
    return Version(commit, folder, _python_for(folder))


def _python_for(checkout: Path) -> Path:
    """This Python where it has all that the version is locked to, else one of its own, which takes minutes to make."""
    if _pins(checkout) <= _pins(ROOT):
        return Path(sys.executable)
    folder = checkout.with_name(f"{checkout.name}-venv")
    python = folder / "bin" / "python"
    venv.create(folder, with_pip=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
    subprocess.run([*install, "--requirement", str(_lock(checkout))], check=True, timeout=INSTALL_SECONDS)
    return python


def _pins(checkout: Path) -> set[str]:
    return {line.split()[0] for line in _lock(checkout).read_text().splitlines() if "==" in line}


def _lock(checkout: Path) -> Path:
    return next(checkout / name for name in LOCKS if (checkout / name).exists())


def make_later(folder: Path) -> Version:
    """Copy this version and let its requests have a field that this version does not know."""
    for name in PROGRAMS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    [file] = [path for path in (folder / "shared").rglob("*.py") if BEFORE_IT in path.read_text()]
    file.write_text(file.read_text().replace(BEFORE_IT, f"    {LATER_FIELD}: StrictStr | None = None\n{BEFORE_IT}"))
    return Version("later", folder)
