"""`make release`: mypackage's wheel and sdist with checksums in dist/, and the images, named by pyproject's version.

Refuses what nobody could build again or would understand: a folder with uncommitted changes, a version that the
changelog does not describe, a tag that is on another commit. It publishes nothing and sets no tag.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
CHECKSUMS = "SHA256SUMS"
IMAGES = ("api", "worker", "mlflow", "flower", "firewall")


def problems(version: str, *, changelog: str, status: str, tagged: str, head: str) -> list[str]:
    """Return what speaks against a release; `tagged` is the commit of the version's tag, if any."""
    found = []
    if status.strip():
        found.append(f"There are uncommitted changes. Commit or remove them:\n{status.rstrip()}")
    if not notes(version, changelog):
        found.append(
            f"CHANGELOG.md says nothing about {version}. Move what is under [Unreleased] to '## [{version}] - DATE'."
        )
    if tagged and tagged != head:
        found.append(f"The tag v{version} is on another commit ({tagged[:12]}). Raise the version in pyproject.toml.")
    return found


def notes(version: str, changelog: str) -> str:
    """Return what the changelog says about a version, empty if nothing."""
    section = re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)", changelog, re.M | re.S)
    return section[1].strip() if section else ""


def write_checksums(folder: Path) -> None:
    """Write the SHA-256 of each file in the folder, for `sha256sum --check`."""
    files = sorted(path for path in folder.iterdir() if path.name not in {CHECKSUMS, ".gitignore"})
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (folder / CHECKSUMS).write_text("".join(lines))


def build_package() -> None:
    """Build mypackage's sdist and wheel; the same commit gives the same wheel, byte by byte."""
    shutil.rmtree(DIST, ignore_errors=True)
    shutil.rmtree(ROOT / "build/lib", ignore_errors=True)  # setuptools would pack what an older build left there
    uv = Path(sys.executable).with_name("uv")
    command = (uv, "build", "--quiet", "--offline", "--no-build-isolation", "--out-dir", DIST, ROOT)
    subprocess.run(
        command, env={**os.environ, "SOURCE_DATE_EPOCH": git("log", "-1", "--format=%ct").strip()}, check=True
    )
    write_checksums(DIST)


def image_commands(version: str) -> list[list[str]]:
    """Return the builds of the images under the names by which Compose looks for them with RETRAIN_TAG=version."""
    build = ("docker", "build", "--quiet", "--file", "deploy/Dockerfile")
    return [[*build, "--target", name, "--tag", f"retrain-{name}:{version}", "."] for name in IMAGES]


def build_images(version: str) -> None:
    """Build the images, or say how where Docker is not installed."""
    if shutil.which("docker") is None:
        print("Docker is not installed here. Where it is, build the images with:")
        print(*("    " + " ".join(command) for command in image_commands(version)), sep="\n")
        return
    for command in image_commands(version):
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
        print(command[-2])


def git(*arguments: str) -> str:
    """Return what git prints in this repository; empty if it fails, as for a tag that does not exist."""
    return subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=False).stdout


def main() -> None:
    """Check, build, and say what is left to do."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    found = problems(
        version,
        changelog=(ROOT / "CHANGELOG.md").read_text(),
        status=git("status", "--porcelain"),
        tagged=git("rev-parse", "--verify", "--quiet", f"v{version}^{{commit}}").strip(),
        head=git("rev-parse", "HEAD").strip(),
    )
    if found:
        sys.exit("\n".join(found))
    build_package()
    print(*sorted(f"dist/{path.name}" for path in DIST.iterdir() if path.name != ".gitignore"), sep="\n")
    build_images(version)
    print(f"Publish it: git tag -a v{version} -m 'Version {version}', push the tag, and upload dist/ and the images.")


if __name__ == "__main__":
    main()
