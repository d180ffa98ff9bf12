"""What the service keeps is its own user's; what lies beside it is not its business."""

from pathlib import Path

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
