"""What `make release` refuses, and what it writes beside the packages."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

from deploy.release import IMAGES, ROOT, image_commands, notes, problems, write_checksums

CHANGELOG = """# Changelog

## [Unreleased]

### Added
- Something that is to come.

## [1.1.0] - 2026-11-28

### Added
- A channel.

## [1.0.0] - 2026-10-01
- All of it.
"""


def _problems(version: str = "1.1.0", **said: Any) -> list[str]:
    return problems(version, **{"changelog": CHANGELOG, "status": "", "tagged": "", "head": "c0ffee", **said})


def test_a_described_version_of_a_clean_commit_is_released() -> None:
    assert _problems() == []
    assert _problems(tagged="c0ffee") == []


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"status": " M api/app.py\n"}, "uncommitted changes"),
        ({"status": "?? notes.txt\n"}, "notes.txt"),
        ({"version": "1.2.0"}, "CHANGELOG.md says nothing about 1.2.0"),
        ({"version": "1.1"}, "CHANGELOG.md says nothing about 1.1."),
        ({"changelog": "## [1.1.0] - 2026-11-28\n\n## [1.0.0] - 2026-10-01\n- All.\n"}, "says nothing about 1.1.0"),
        ({"changelog": "## [1.1.0]\n- No date yet.\n"}, "says nothing about 1.1.0"),
        ({"tagged": "decaf"}, "The tag v1.1.0 is on another commit (decaf)"),
    ],
)
def test_what_nobody_could_build_again_or_understand_is_refused(said: dict[str, Any], reason: str) -> None:
    [problem] = _problems(**said)
    assert reason in problem


def test_everything_that_is_wrong_is_said_at_once() -> None:
    assert len(_problems("2.0.0", status=" M README.md\n", tagged="decaf")) == 3


def test_the_notes_of_a_version_end_where_the_next_begins() -> None:
    assert notes("1.1.0", CHANGELOG) == "### Added\n- A channel."
    assert notes("1.0.0", CHANGELOG) == "- All of it."


def test_the_changelog_describes_the_version_of_this_repository() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert notes(version, (ROOT / "CHANGELOG.md").read_text())


def test_checksums_are_of_each_file_and_in_the_form_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "b.whl").write_bytes(b"wheel")
    (tmp_path / "a.tar.gz").write_bytes(b"sdist")
    for _ in range(2):  # what an earlier release left is not counted
        write_checksums(tmp_path)
    assert (tmp_path / "SHA256SUMS").read_text() == (
        f"{hashlib.sha256(b'sdist').hexdigest()}  a.tar.gz\n{hashlib.sha256(b'wheel').hexdigest()}  b.whl\n"
    )


def test_images_are_named_as_compose_looks_for_them() -> None:
    compose = (ROOT / "deploy/docker-compose.yml").read_text()
    assert {command[-2] for command in image_commands("1.1.0")} == {f"retrain-{name}:1.1.0" for name in IMAGES}
    assert all(f"${{RETRAIN_IMAGE:-retrain}}-{name}:${{RETRAIN_TAG:-latest}}" in compose for name in IMAGES)
