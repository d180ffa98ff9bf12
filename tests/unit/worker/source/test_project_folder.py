"""Which folder of a work tree a request means: MLflow finds an MLproject file in any case, and a folder is none."""

from pathlib import Path

import pytest

from shared.errors import UserError
from worker.source.checkout import find_project_folder


@pytest.mark.parametrize("name", ["MLproject", "mlproject", "MLProject"])
def test_the_file_itself_names_its_folder_in_any_case(tmp_path: Path, name: str) -> None:
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow" / name).touch()
    assert find_project_folder(tmp_path, f"flow/{name}") == tmp_path / "flow"
    with pytest.raises(UserError, match="Folders with an MLproject file: flow"):
        find_project_folder(tmp_path, "floe")


def test_a_folder_of_that_name_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "mlproject").mkdir()
    (tmp_path / "mlproject" / "MLproject").touch()
    assert find_project_folder(tmp_path, "mlproject") == tmp_path / "mlproject"
