"""What the service keeps is its own user's; what lies beside it is not its business."""

from pathlib import Path

import pytest

from shared.own_files import MADE_IN_DATA_DIR, close_to_others


def test_what_an_earlier_version_left_open_is_closed_and_nothing_else(tmp_path: Path) -> None:
    for name in ("mirrors", "mlflow", "datasets"):
        (tmp_path / name).mkdir()
    (tmp_path / "jobs.db").touch()
    for path in tmp_path.iterdir():
        path.chmod(0o755 if path.is_dir() else 0o644)  # whatever the umask
    close_to_others(tmp_path)
    modes = {each.name: oct(each.stat().st_mode & 0o777) for each in tmp_path.iterdir()}
    assert modes == {"mirrors": "0o700", "mlflow": "0o700", "datasets": "0o755", "jobs.db": "0o600"}


def test_a_data_folder_that_is_empty_is_no_error(tmp_path: Path) -> None:
    assert MADE_IN_DATA_DIR
    close_to_others(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_data_folder_that_was_there_before_is_closed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(mode=0o755)
    (tmp_path / "kept").chmod(0o755)
    close_to_others(tmp_path / "kept")
    assert oct((tmp_path / "kept").stat().st_mode & 0o777) == "0o700"


def test_a_folder_with_an_open_one_of_somebody_else_in_it_stays_open(tmp_path: Path) -> None:
    for name in ("kept", "kept/mlflow", "kept/www"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
    close_to_others(tmp_path / "kept")
    assert [oct((tmp_path / name).stat().st_mode & 0o777) for name in ("kept", "kept/mlflow")] == ["0o755", "0o700"]
    (tmp_path / "kept/www").chmod(0o700)
    close_to_others(tmp_path / "kept")
    assert oct((tmp_path / "kept").stat().st_mode & 0o777) == "0o700"


@pytest.mark.parametrize("mode", [0o1777, 0o757])
def test_a_folder_that_others_use_stays_open_and_what_is_ours_in_it_is_closed(tmp_path: Path, mode: int) -> None:
    (tmp_path / "jobs.db").touch(mode=0o644)
    tmp_path.chmod(mode)
    close_to_others(tmp_path)
    assert tmp_path.stat().st_mode & 0o7777 == mode
    assert (tmp_path / "jobs.db").stat().st_mode & 0o777 == 0o600


def test_a_users_home_is_not_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tmp_path.chmod(0o755)
    close_to_others(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
