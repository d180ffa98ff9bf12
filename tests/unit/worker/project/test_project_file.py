"""Names in an MLproject file that no file system takes."""

import json
from pathlib import Path

import pytest

from shared.errors import Code, UserError
from worker.project.mlproject_file import check_project_file


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 5000], ids=["NUL", "half a character", "too long"])
@pytest.mark.parametrize("key", ["python_env", "conda_env"])
def test_an_environment_file_that_cannot_be_one_is_the_projects_fault(tmp_path: Path, key: str, name: str) -> None:
    (tmp_path / "MLproject").write_text(f"name: a\n{key}: {json.dumps(name)}\n")
    with pytest.raises(UserError, match=key) as caught:
        check_project_file(tmp_path)
    assert caught.value.code is Code.INVALID_PROJECT
