"""What tells two machines of one name apart, and that one worker of a name runs on each."""

import shutil
import threading
from pathlib import Path

import pytest

from shared.settings import Settings
from worker.host.machine import only_worker_here, this_machine


def settings(folder: Path, **fields: str) -> Settings:
    return Settings.load(_env_file=None, data_dir=folder, worker_host="gpu-1", **fields)


def test_a_machine_is_the_same_for_every_worker_that_starts_on_it(tmp_path: Path) -> None:
    with only_worker_here(settings(tmp_path)) as first:
        assert this_machine(settings(tmp_path)) == first
    with only_worker_here(settings(tmp_path)) as second:
        assert second == first
    assert len(first.id) <= 64  # the column


def test_a_copy_of_its_data_folder_is_another_machine(tmp_path: Path) -> None:
    first = this_machine(settings(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    copy = this_machine(settings(tmp_path / "b"))
    assert copy.id != first.id
    assert not copy.may_have_run(machine=first.id, engine=None)
    assert this_machine(settings(tmp_path / "a", runner="process")).id != first.id


def test_a_clone_with_the_same_disk_has_another_boot_and_is_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = this_machine(settings(tmp_path))
    (tmp_path / "boot").write_text("another boot")
    monkeypatch.setattr("worker.host.machine.BOOT_ID", tmp_path / "boot")
    clone = this_machine(settings(tmp_path))
    assert not clone.runs(machine=first.id, engine=None)
    assert clone.may_have_run(machine=first.id, engine=None)  # or it is the same one, started again
    assert not first.may_have_run(machine=first.id, engine=None)


def test_a_second_worker_here_waits_for_the_end_of_the_first(tmp_path: Path) -> None:
    entered = threading.Event()

    def replace() -> None:
        with only_worker_here(settings(tmp_path)):
            entered.set()

    with only_worker_here(settings(tmp_path)):
        thread = threading.Thread(target=replace)
        thread.start()
        assert not entered.wait(0.2)
    assert entered.wait(10)
    thread.join()
