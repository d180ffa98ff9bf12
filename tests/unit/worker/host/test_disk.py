"""What goes when a disk is nearly full, in which order, and what stays."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.errors import Code, InfrastructureError
from tests.fakes.runner import FakeHost, FakeRunner
from tests.fakes.source import FakeSource
from worker.folder_tree import free_bytes
from worker.host.disk import DiskGuard
from worker.runners.docker.pulled_images import PulledImages
from worker.runners.seam import AttemptSpec

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class Scene:
    """A host with three images, pulled a day apart, and two mirrors, on disks that fill as the test says."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.host, self.source = folder, FakeHost(disk=folder / "docker"), FakeSource(folder)
        self.runner = FakeRunner(host=self.host)
        self.pulled = PulledImages(folder / "images.json", lambda: self.now)
        self.used_bytes: Callable[[Path], int] = lambda _folder: 0
        for day, name in enumerate("abc"):
            self.now = LONG_AGO + timedelta(days=day)
            self.pulled.note_pull(f"sha256:{name}", {name})
        self.now = datetime.now(UTC)
        self.host.unused_images = self.pulled.unused
        for name in ("old", "new"):
            self.mirror(name)

    def mirror(self, name: str) -> Path:
        folder = self.source.mirrors / f"{name}.git"
        folder.mkdir(parents=True)
        os.utime(folder, (LONG_AGO.timestamp(), LONG_AGO.timestamp()))
        return folder

    def guard(self, *, low_bytes: int) -> DiskGuard:
        folders = [self.folder, *([self.host.disk] if self.host.disk else [])]
        return DiskGuard(
            lambda: folders,
            low_bytes,
            self.source,
            self.runner,
            free=lambda each: 100 - self.used_bytes(each),
        )


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_disk_with_room_loses_nothing(scene: Scene) -> None:
    guard = scene.guard(low_bytes=100)
    assert not guard.is_low()
    assert guard.clean() == 0


def test_images_go_until_there_is_room_the_longest_unused_first(scene: Scene) -> None:
    scene.used_bytes = lambda _folder: 20 - 10 * len(scene.host.removed_images)
    scene.pulled.note_use("sha256:a")
    guard = scene.guard(low_bytes=100)
    scene.now += timedelta(days=1)
    assert guard.is_low()
    assert guard.clean() == 2
    assert scene.host.removed_images == ["sha256:b", "sha256:c"]
    assert not guard.is_low()


def test_an_image_that_an_attempt_uses_or_was_just_brought_for_one_stays(scene: Scene) -> None:
    scene.used_bytes = lambda folder: 20 if folder == scene.host.disk else 0
    scene.runner.start_or_attach(AttemptSpec("j", 1, image="a", command="", source=scene.folder))
    scene.pulled.note_use("sha256:c")
    assert scene.guard(low_bytes=100).clean() == 1
    assert scene.host.removed_images == ["sha256:b"]


def test_images_stay_where_only_another_disk_is_full(scene: Scene) -> None:
    scene.used_bytes = lambda folder: 0 if folder == scene.host.disk else 20
    guard = scene.guard(low_bytes=100)
    guard.clean()
    assert guard.is_low()
    assert scene.host.removed_images == []


def test_images_go_where_their_disk_cannot_be_seen(scene: Scene) -> None:
    scene.used_bytes = lambda _folder: 20
    scene.host.disk = None
    scene.guard(low_bytes=100).clean()
    assert scene.host.removed_images == ["sha256:a", "sha256:b", "sha256:c"]


def test_an_engine_that_is_away_keeps_no_mirror_from_going(scene: Scene) -> None:
    scene.used_bytes = lambda _folder: 20
    guard = scene.guard(low_bytes=100)
    scene.runner.is_available = False
    assert guard.clean() == 2
    assert not list(scene.source.mirrors.glob("*.git"))


def test_a_failure_to_remove_one_image_keeps_no_other_from_going(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.used_bytes = lambda folder: 20 if folder == scene.host.disk else 0
    remove = scene.runner.remove_image

    def fail_once(image_id: str) -> bool:
        if image_id == "sha256:a":
            raise InfrastructureError(Code.DOCKER_UNAVAILABLE, "too slow")
        return remove(image_id)

    monkeypatch.setattr(scene.runner, "remove_image", fail_once)
    assert scene.guard(low_bytes=100).clean() == 2


def test_without_a_record_of_pulls_only_mirrors_go(scene: Scene) -> None:
    scene.mirror("used a moment ago").touch()
    guard = DiskGuard(lambda: [scene.folder], 100, scene.source, FakeRunner(), free=lambda _folder: 0)
    assert guard.is_low()
    assert guard.clean() == 2
    assert [each.stem for each in scene.source.mirrors.glob("*.git")] == ["used a moment ago"]
    assert scene.host.removed_images == []


def test_free_space_is_known_of_a_folder_that_is_still_to_be_made(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0
