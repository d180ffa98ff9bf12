"""Mirrors that go, by age or for room: never one in use, and an attempt that comes next just makes it anew."""

import fcntl
import os
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.source.mirrors.conftest import fetch
from tests.support.servers.git_repository import RepositoryOnServer
from tests.support.servers.git_server import GitServer
from worker.source.checkout import GitSource
from worker.source.git import Git, GitResult

DAY_SECONDS = 86400


def age(mirror: Path, *, days: float) -> None:
    """Let a mirror's last use be that long ago."""
    used_at = time.time() - days * DAY_SECONDS
    for each in (*(mirror / "retrain-uses").iterdir(), mirror):
        os.utime(each, (used_at, used_at))


def mirrors_of(source: GitSource) -> set[Path]:
    return set(source.mirrors.glob("*.git"))


def test_mirrors_go_by_the_age_of_their_last_use(server: GitServer, source: GitSource) -> None:
    repositories = [server.create(name, {"a": name}) for name in ("one", "two")]
    for repository in repositories:
        fetch(source, repository)
    for mirror in mirrors_of(source):
        age(mirror, days=40)
    fetch(source, repositories[1])
    assert source.remove_mirrors(30 * DAY_SECONDS) == 1
    assert len(mirrors_of(source)) == 1
    assert source.remove_mirrors(30 * DAY_SECONDS) == 0
    for repository in repositories:
        assert fetch(source, repository).commit_sha == repository.git("rev-parse", "main")


def test_the_oldest_mirror_goes_first_and_one_that_was_just_used_stays(server: GitServer, source: GitSource) -> None:
    found = []
    for days in (3, 5, 0):
        before = mirrors_of(source)
        fetch(source, server.create(f"r{days}", {"a": "1"}))
        (mirror,) = mirrors_of(source) - before
        age(mirror, days=days)
        found.append(mirror)
    three, five, fresh = found
    assert source.remove_oldest_mirror()
    assert mirrors_of(source) == {three, fresh}
    assert source.remove_oldest_mirror()
    assert not source.remove_oldest_mirror()
    assert mirrors_of(source) == {fresh}
    assert not five.exists()


@pytest.mark.parametrize("mode", [fcntl.LOCK_EX, fcntl.LOCK_SH], ids=["a fetch", "a copy"])
def test_a_mirror_that_an_attempt_works_with_stays(source: GitSource, iris: RepositoryOnServer, mode: int) -> None:
    fetch(source, iris)
    (mirror,) = mirrors_of(source)
    age(mirror, days=40)
    with mirror.with_suffix(".lock").open() as lock:
        fcntl.flock(lock, mode)
        assert source.remove_mirrors(DAY_SECONDS) == 0
        assert not source.remove_oldest_mirror()
    assert source.remove_mirrors(DAY_SECONDS) == 1


def test_what_a_worker_that_died_had_moved_away_is_removed_by_the_next_one(
    source: GitSource, iris: RepositoryOnServer
) -> None:
    fetch(source, iris)
    (mirror,) = mirrors_of(source)
    mirror.rename(mirror.with_suffix(".going"))
    fetch(source, iris)
    assert source.remove_mirrors(DAY_SECONDS) == 0
    assert sorted(each.suffix for each in source.mirrors.iterdir()) == [".git", ".lock"]


def test_a_host_without_mirrors_has_none_to_remove(source: GitSource) -> None:
    assert source.remove_mirrors(0) == 0
    assert not source.remove_oldest_mirror()


def test_attempts_that_fetch_while_mirrors_are_removed_all_get_their_commit(
    source: GitSource, iris: RepositoryOnServer
) -> None:
    sha, done, removed = fetch(source, iris).commit_sha, threading.Event(), []

    def remove() -> None:
        while not done.is_set():
            removed.append(source.remove_mirrors(DAY_SECONDS) + source.remove_oldest_mirror())

    (mirror,) = mirrors_of(source)
    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for number in range(20):
            with suppress(FileNotFoundError):  # it goes while it is made old
                age(mirror, days=40)
            assert fetch(source, iris, f"a-{number}").commit_sha == sha
    finally:
        done.set()
        remover.join(30)
    assert sum(removed)


def test_a_commit_that_was_used_before_takes_one_process_less(
    source: GitSource, iris: RepositoryOnServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, commands = Git.run, list[str]()

    def counted(git: Git, *arguments: str | Path, cwd: Path | None = None) -> GitResult:
        commands.append(" ".join(map(str, arguments)))
        return run(git, *arguments, cwd=cwd)

    monkeypatch.setattr(Git, "run", counted)
    first = fetch(source, iris)
    assert any("rev-parse" in each for each in commands)
    commands.clear()
    assert fetch(source, iris, "a-2").commit_sha == first.commit_sha
    assert not any("rev-parse" in each for each in commands)
    second = iris.commit({"MLproject": "name: iris\n", "new": "x"})
    assert fetch(source, iris, "a-3").commit_sha == second != first.commit_sha
