"""Commits that are trained again and again: their copy is kept with the mirror, whole or not at all."""

import subprocess
from pathlib import Path

import pytest

from tests.integration.source.mirrors.conftest import fetch
from tests.support.servers.git_repository import RepositoryOnServer
from worker.source import kept_copy
from worker.source.checkout import Checkout, GitSource
from worker.source.git import Git, GitResult


@pytest.fixture
def copies(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The fetches out of the mirror."""
    run, made = Git.run, list[str]()

    def counted(git: Git, *arguments: str | Path, cwd: Path | None = None) -> GitResult:
        if "-C" in arguments and "fetch" in arguments:
            made.append(str(arguments[-1]))
        return run(git, *arguments, cwd=cwd)

    monkeypatch.setattr(Git, "run", counted)
    return made


def git(checkout: Checkout, *arguments: str) -> str:
    command = ["git", "-c", "safe.directory=*", "-C", str(checkout.folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def whole(checkout: Checkout) -> bool:
    git(checkout, "fsck", "--strict")
    text = (checkout.folder / "src/train.py").read_text()
    return text == "print(1)\n" and not git(checkout, "status", "--porcelain")


def kept_in(source: GitSource) -> list[Path]:
    return sorted(source.mirrors.glob("*.git/retrain-copy/*"))


def test_a_commit_that_comes_again_is_copied_without_git(
    source: GitSource, iris: RepositoryOnServer, copies: list[str]
) -> None:
    found = [fetch(source, iris, f"a-{number}") for number in range(4)]
    assert len(copies) == 2  # the second tells that it may come a third time
    assert len({each.commit_sha for each in found}) == 1
    assert all(whole(each) for each in found)
    assert len({git(each, "log", "--format=%H %s") for each in found}) == 1


def test_another_commit_takes_its_place_once_that_comes_again(
    source: GitSource, iris: RepositoryOnServer, copies: list[str]
) -> None:
    before = [fetch(source, iris, f"a-{number}") for number in range(2)]
    packs = kept_in(source)
    newer = iris.commit({"MLproject": "name: iris\n", "src/train.py": "print(1)\n", "more": "x\n"})
    after = [fetch(source, iris, f"b-{number}") for number in range(3)]
    assert [each.commit_sha for each in after] == [newer] * 3 != [each.commit_sha for each in before]
    assert len(copies) == 4
    assert all(whole(each) for each in after)
    assert kept_in(source) != packs


def test_a_damaged_copy_is_not_used(source: GitSource, iris: RepositoryOnServer, copies: list[str]) -> None:
    for number in range(2):
        fetch(source, iris, f"a-{number}")
    (pack,) = (each for each in kept_in(source) if each.suffix == ".pack")
    damaged = bytearray(pack.read_bytes())
    damaged[-30] ^= 1
    pack.chmod(0o644)
    pack.write_bytes(damaged)
    assert whole(fetch(source, iris, "b-1"))
    assert whole(fetch(source, iris, "b-2"))
    assert len(copies) == 3  # kept anew after the first of these


@pytest.mark.parametrize(
    "text", ["", "{}", '{"commit": 1', '{"commit": "%s", "files": {"gone.pack": "0"}}', '{"commit": "%s", "files": {}}']
)
def test_a_copy_that_was_not_finished_is_not_used(
    source: GitSource, iris: RepositoryOnServer, copies: list[str], text: str
) -> None:
    sha, _ = (fetch(source, iris, f"a-{number}").commit_sha for number in range(2))
    (facts,) = (each for each in kept_in(source) if each.name == kept_copy.FACTS)
    facts.write_text(text.replace("%s", sha))
    assert whole(fetch(source, iris, "b-1"))
    assert len(copies) == 3


def test_what_a_training_does_to_its_files_stays_its_own(source: GitSource, iris: RepositoryOnServer) -> None:
    trained = [fetch(source, iris, f"a-{number}") for number in range(3)]
    for checkout in trained:
        for pack in (checkout.folder / ".git/objects/pack").iterdir():
            assert pack.stat().st_nlink == 1
            pack.chmod(0o644)
            pack.write_bytes(b"mine")
    assert whole(fetch(source, iris, "b-1"))


def test_a_large_one_is_not_kept(
    source: GitSource, iris: RepositoryOnServer, copies: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_copy, "MOST_BYTES", 100)
    for number in range(3):
        assert whole(fetch(source, iris, f"a-{number}"))
    assert len(copies) == 3
    assert not kept_in(source)


def test_a_full_disk_costs_the_copy_and_not_the_job(
    source: GitSource, iris: RepositoryOnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_source: Path, _target: Path) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept_copy, "_copy", full)
    for number in range(3):
        assert whole(fetch(source, iris, f"a-{number}"))
    assert not kept_in(source)
