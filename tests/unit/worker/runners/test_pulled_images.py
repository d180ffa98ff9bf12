"""The record of images that this service pulled: shared by workers, and safe to lose."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path

import pytest

from tests.support.threads import at_once
from worker.runners.docker.pulled_images import PulledImages

NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new" / "images.json"


@pytest.fixture
def pulled(path: Path) -> PulledImages:
    return PulledImages(path, Clock())


def ids(pulled: PulledImages) -> list[str]:
    return [image.id for image in pulled.by_use()]


def test_images_come_in_the_order_of_their_last_use(pulled: PulledImages, path: Path) -> None:
    for name in "abc":
        pulled.note_pull(name, {f"{name}:1"})
    pulled.note_use("a")
    assert ids(pulled) == ids(PulledImages(path)) == ["b", "c", "a"]
    used = pulled.find("a")
    assert used is not None
    assert (used.references, used.pulled_at, used.last_used_at) == (
        frozenset({"a:1"}), NOW + timedelta(seconds=1), NOW + timedelta(seconds=4)
    )  # fmt: skip


def test_what_was_not_pulled_is_not_known_after_its_use_either(pulled: PulledImages, path: Path) -> None:
    pulled.note_use("a")
    pulled.forget("a")
    assert pulled.find("a") is None
    assert not path.exists()


def test_a_second_name_is_added_and_a_forgotten_image_is_gone(pulled: PulledImages) -> None:
    pulled.note_pull("a", {"a:1"})
    pulled.note_pull("a", {"a:2"})
    found = pulled.find("a")
    assert found is not None
    assert (found.references, found.pulled_at) == (frozenset({"a:1", "a:2"}), NOW + timedelta(seconds=1))
    pulled.forget("a")
    assert ids(pulled) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"images": {"a": {"id": "a"}}}', b"\xff", b"\0" * 100])
def test_a_damaged_record_is_begun_anew_and_says_so(
    pulled: PulledImages, path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert ids(pulled) == []
    assert "damaged" in caplog.text
    pulled.note_pull("b", {"b:1"})
    assert ids(pulled) == ["b"]


def test_a_record_that_cannot_be_written_ends_no_attempt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").touch()
    pulled = PulledImages(tmp_path / "file" / "images.json")
    pulled.note_pull("a", {"a:1"})
    assert "not noted" in caplog.text
    assert ids(pulled) == []


def test_threads_that_note_at_once_lose_nothing_and_leave_no_other_file(pulled: PulledImages, path: Path) -> None:
    at_once(16, lambda number: pulled.note_pull(str(number), {str(number)}))
    assert sorted(ids(pulled), key=int) == [str(number) for number in range(16)]
    assert sorted(each.name for each in path.parent.iterdir()) == ["images.json", "images.lock"]


def _note_many(path: Path, prefix: str) -> None:
    for number in range(20):
        PulledImages(path).note_pull(f"{prefix}{number}", set())


def test_processes_that_note_at_once_lose_nothing(path: Path) -> None:
    processes = [get_context("spawn").Process(target=_note_many, args=(path, prefix)) for prefix in "abc"]
    for process in processes:
        process.start()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(_note_many, path, "d").result(60)
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert len(ids(PulledImages(path))) == 80
