"""The folder that jobs of a host share: each dataset comes once, whole, and what is not used goes first."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mypackage.dataset.cache import Cache
from mypackage.dataset.errors import DatasetError
from tests.support.folders import files_in
from tests.support.waiting import wait_until


@dataclass
class Source:
    """Fills folders, and counts how often."""

    text: str = "content"
    filled: int = 0

    def fill(self, folder: Path) -> str:
        self.filled += 1
        (folder / "files").mkdir()
        (folder / "files" / "a").write_text(self.text)
        return f"digest of {self.text}"


@pytest.fixture
def source() -> Source:
    return Source()


def failing(then: Callable[[Path], None]) -> Callable[[Path], str]:
    def fill(folder: Path) -> str:
        then(folder)
        raise DatasetError("cut")

    return fill


def write_half(folder: Path, size: int) -> None:
    (folder / "half").write_bytes(b"x" * size)


def test_a_dataset_is_fetched_once_and_given_to_every_job_as_its_own_copy(tmp_path: Path, source: Source) -> None:
    cache = Cache(tmp_path / "cache")
    digests = [cache.bring("key", tmp_path / name, source.fill) for name in ("one", "two")]
    (tmp_path / "one" / "a").write_text("written by a training")
    digests.append(Cache(tmp_path / "cache").bring("key", tmp_path / "three", source.fill))
    assert source.filled == 1
    assert set(digests) == {"digest of content"}
    assert files_in(tmp_path / "two") == files_in(tmp_path / "three") == {"a": "content"}


def test_a_cache_that_another_user_owns_is_done_without(
    tmp_path: Path, source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "entries")

    cache = Cache(tmp_path / "cache")
    cache._made = refuse  # type: ignore[method-assign, assignment]
    assert cache.bring("key", tmp_path / "one", source.fill) == "digest of content"
    assert files_in(tmp_path / "one") == {"a": "content"}
    assert "The cache of datasets is not used" in capsys.readouterr().out


@pytest.mark.parametrize("is_on", [True, False])
def test_what_the_training_has_in_its_folder_stays(tmp_path: Path, source: Source, is_on: bool) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    Cache(tmp_path / "cache" if is_on else None).bring("key", tmp_path / "out", source.fill)
    assert files_in(tmp_path / "out") == {"mine": "mine", "a": "content"}
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} == {"out"}


def test_without_a_key_nothing_is_kept(tmp_path: Path, source: Source) -> None:
    cache = Cache(tmp_path / "cache")
    cache.bring(None, tmp_path / "one", source.fill)
    cache.bring(None, tmp_path / "two", source.fill)
    assert source.filled == 2
    assert not (tmp_path / "cache").exists()


def test_a_failure_gives_nothing_and_the_next_job_goes_on_with_what_came(tmp_path: Path, source: Source) -> None:
    cache = Cache(tmp_path / "cache")
    with pytest.raises(DatasetError, match="cut"):
        cache.bring("key", tmp_path / "out", failing(lambda folder: write_half(folder, 1)))
    assert not (tmp_path / "out").exists()
    seen: list[bool] = []

    def go_on(folder: Path) -> str:
        seen.append((folder / "half").exists())
        return source.fill(folder)

    cache.bring("key", tmp_path / "out", go_on)
    assert seen == [True]
    assert files_in(tmp_path / "out") == {"a": "content"}


def test_two_jobs_at_once_fetch_a_dataset_once(
    tmp_path: Path, source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    cache, begun, goes_on = Cache(tmp_path / "cache"), threading.Event(), threading.Event()

    def slow(folder: Path) -> str:
        begun.set()
        assert goes_on.wait(30)
        return source.fill(folder)

    def second() -> None:
        assert begun.wait(30)
        Cache(tmp_path / "cache").bring("key", tmp_path / "two", source.fill)

    threads = [
        threading.Thread(target=lambda: cache.bring("key", tmp_path / "one", slow)),
        threading.Thread(target=second),
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: "Waiting for another job" in capsys.readouterr().out, what="the second job's wait")
    goes_on.set()
    for thread in threads:
        thread.join(30)
    assert source.filled == 1
    assert files_in(tmp_path / "one") == files_in(tmp_path / "two") == {"a": "content"}


def entries(folder: Path) -> int:
    return len(list((folder / "entries").iterdir()))


def age(folder: Path) -> None:
    """Make every entry older than those that come next."""
    for path in [*(folder / "entries").iterdir(), *(folder / "partial").iterdir()]:
        os.utime(path, (path.stat().st_mtime - 1000,) * 2)


def test_what_was_not_used_for_longest_is_removed_when_the_cache_is_full(tmp_path: Path) -> None:
    cache, sources = Cache(tmp_path / "cache", max_bytes=250), {key: Source("x" * 100) for key in "abc"}

    def bring(key: str) -> None:
        age(tmp_path / "cache") if (tmp_path / "cache").exists() else None
        cache.bring(key, tmp_path / "out", sources[key].fill)

    for key in "abacba":
        bring(key)
    assert {key: each.filled for key, each in sources.items()} == {"a": 2, "b": 2, "c": 1}
    assert entries(tmp_path / "cache") == 2
    assert not list((tmp_path / "cache" / "bin").iterdir())


def test_a_download_that_nobody_went_on_with_makes_room_too(tmp_path: Path, source: Source) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=100)
    with pytest.raises(DatasetError):
        cache.bring("left", tmp_path / "out", failing(lambda folder: write_half(folder, 200)))
    cache.bring("key", tmp_path / "out", source.fill)
    assert not list((tmp_path / "cache" / "partial").iterdir())


def test_a_dataset_larger_than_the_cache_is_still_given(tmp_path: Path, source: Source) -> None:
    Cache(tmp_path / "cache", max_bytes=1).bring("key", tmp_path / "out", source.fill)
    assert files_in(tmp_path / "out") == {"a": "content"}


def test_what_another_job_is_fetching_is_not_removed(tmp_path: Path, source: Source) -> None:
    cache = Cache(tmp_path / "cache", max_bytes=1)

    def while_another_comes(folder: Path) -> str:
        Cache(tmp_path / "cache", max_bytes=1).bring("other", tmp_path / "other", Source("other").fill)
        assert folder.exists()
        return source.fill(folder)

    cache.bring("key", tmp_path / "out", while_another_comes)
    assert files_in(tmp_path / "out") == {"a": "content"}


def test_the_environment_names_the_folder_and_its_bound(tmp_path: Path) -> None:
    assert not Cache.of({}).is_on
    assert not Cache.of({"RETRAIN_CACHE": ""}).is_on
    assert Cache.of({"RETRAIN_CACHE": str(tmp_path)}).is_on
    with pytest.raises(DatasetError, match="RETRAIN_CACHE_MAX_BYTES is 'much'"):
        Cache.of({"RETRAIN_CACHE": str(tmp_path), "RETRAIN_CACHE_MAX_BYTES": "much"})
